/*
 * Stands in for libvirt's client library: passes every call on to the real one, and does to it what a control file says.
 *
 * The file is read anew at each call. A line of it is a fault, and the first one that fits a call counts:
 *
 *   NUMBER KIND FUNCTION DOMAIN FIRST SECOND
 *
 * NUMBER is the fault's own. FUNCTION may be "*" for all that reach the daemon, DOMAIN "*" for all. FIRST and SECOND are
 * numbers. KIND is one of
 *
 *   hang       the call waits until the line is gone
 *   delay      it takes FIRST milliseconds longer, even when the line has gone meanwhile
 *   fail       it fails with an error of domain FIRST and code SECOND
 *   fail-once  likewise, but only the first time
 *   die        the first time, the sockets to the daemon are shut down, and the call finds out
 *   dead       from the first time on, every call on the same connection fails, though it seems to be alive
 *   made       the driver says that it is QEMU's and has bulk statistics, whose values are made up (FUNCTION and DOMAIN
 *              are "*")
 *
 * What is counted stands in a file of 64-bit numbers that is mapped into memory; see "counters".
 *
 * functions.h is made from the table in functions.ts. The functions take and give machine words, for integers and
 * pointers travel alike.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <dlfcn.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

typedef uintptr_t word;
typedef word (*real_function)(word, word, word, word, word, word);

/* What a function is about: its first argument. Nothing that is LOCAL reaches the daemon. */
enum subject { LOCAL, OPENING, CONNECTION, DOMAIN, DOMAINS, NETWORK, POOL, VOLUME };
/* What a function does to the number of references. LISTS writes a list to its second argument, REPLIES to its third. */
enum effect { NONE, OPENS, CLOSES, REFERS, FREES, LISTS, REPLIES, FREES_REPLY, REGISTERS, UNREGISTERS };

/* What a fault has the caller do besides waiting. */
enum consequence { GOES_ON, FAILS, LOSES_CONNECTION, FINDS_IT_DEAD };

struct function {
    const char *name;
    enum subject subject;
    word failure;
    enum effect effect;
    real_function real;
};

#define ROW(name, subject, failure, effect) { #name, subject, (word)(failure), effect, NULL },
#define NUMBER(name, subject, failure, effect) ROW_##name,
#define DEFINITION(name, subject, failure, effect) \
    word name(word a, word b, word c, word d, word e, word f) { return call(ROW_##name, a, b, c, d, e, f); }

#include "functions.h"

enum { FUNCTIONS(NUMBER) ROWS };
static struct function functions[] = { FUNCTIONS(ROW) };

#define FAULTS 1024
#define DEAD_CONNECTIONS 64

struct counters {
    _Atomic int64_t connections;
    _Atomic int64_t references;
    /* Kinds of events that are subscribed to. */
    _Atomic int64_t subscriptions;
    /* Calls that a fault holds up. */
    _Atomic int64_t held;
    /* How often each fault was felt, by its number. */
    _Atomic int64_t felt[FAULTS];
};

struct fault {
    int number;
    char kind[16], function[64], domain[64];
    int first, second;
};

/* The beginning of libvirt's virError; what follows stays zero. */
struct error {
    int code, domain;
    const char *message;
    int level;
    void *rest[8];
};

/* The beginning of libvirt's virDomainStatsRecord. */
struct record {
    void *domain, *parameters;
    int count;
};

/* libvirt's virTypedParameter; type 4 is an unsigned number of 64 bits. */
struct parameter {
    char name[80];
    int type;
    unsigned long long value;
};

static void *library;
static struct counters *counters;
static const char *control;
static _Atomic int spent[FAULTS];
static pthread_mutex_t dead_mutex = PTHREAD_MUTEX_INITIALIZER;
static struct {
    word connection;
    int fault;
} dead[DEAD_CONNECTIONS];
static _Thread_local int has_failed;
static _Thread_local struct error own_error;

static real_function real(const char *name)
{
    return (real_function)dlsym(library, name);
}

static word ask(const char *name, word argument)
{
    return real(name)(argument, 0, 0, 0, 0, 0);
}

__attribute__((constructor)) static void start(void)
{
    control = getenv("STAND_IN_CONTROL");
    library = dlopen(REAL_LIBRARY, RTLD_NOW | RTLD_LOCAL);
    int file = open(getenv("STAND_IN_COUNTERS"), O_RDWR);
    counters = mmap(NULL, sizeof *counters, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    close(file);
    if (library == NULL || counters == MAP_FAILED) abort();
    for (int row = 0; row < ROWS; row++) functions[row].real = real(functions[row].name);
}

/* Finds the first fault that fits; with a number, the one with that number. */
static int find_fault(const struct function *function, const char *kind, word subject, int number, struct fault *fault)
{
    FILE *file = fopen(control, "re");
    int is_found = 0;
    if (file == NULL) return 0;
    while (!is_found && fscanf(file, "%d %15s %63s %63s %d %d", &fault->number, fault->kind, fault->function,
                               fault->domain, &fault->first, &fault->second) == 6) {
        if (number != 0) {
            is_found = fault->number == number;
        } else if (kind != NULL) {
            is_found = strcmp(fault->kind, kind) == 0;
        } else if (strcmp(fault->function, function->name) == 0 ||
                   (strcmp(fault->function, "*") == 0 && function->subject != LOCAL)) {
            is_found = strcmp(fault->kind, "made") != 0;
            if (is_found && strcmp(fault->domain, "*") != 0) {
                word none[2] = { subject, 0 };
                const word *domains = function->subject == DOMAINS ? (const word *)subject : none;
                is_found = 0;
                if (function->subject != DOMAIN && function->subject != DOMAINS) continue;
                for (; *domains != 0 && !is_found; domains++)
                    is_found = strcmp((const char *)ask("virDomainGetName", *domains), fault->domain) == 0;
            }
        }
    }
    fclose(file);
    return is_found;
}

static word connection_of(const struct function *function, word subject)
{
    switch (function->subject) {
    case CONNECTION: return subject;
    case DOMAIN: return ask("virDomainGetConnect", subject);
    case DOMAINS: return ask("virDomainGetConnect", *(word *)subject);
    case NETWORK: return ask("virNetworkGetConnect", subject);
    case POOL: return ask("virStoragePoolGetConnect", subject);
    case VOLUME: return ask("virStorageVolGetConnect", subject);
    default: return 0;
    }
}

/* Changes an entry of the list of dead connections, and returns the number of the fault that made it so; 0 if there is none. */
static int change_dead(word before, word after, int fault)
{
    int number = 0;
    pthread_mutex_lock(&dead_mutex);
    for (int place = 0; place < DEAD_CONNECTIONS; place++) {
        if (dead[place].connection != before) continue;
        if (fault != 0) dead[place].fault = fault;
        dead[place].connection = after;
        number = dead[place].fault;
        break;
    }
    pthread_mutex_unlock(&dead_mutex);
    return number;
}

/* Shuts down every socket whose other end is the daemon's. */
static void shut_down_sockets(void)
{
    const char *path = getenv("STAND_IN_SOCKET");
    DIR *folder = opendir("/proc/self/fd");
    struct dirent *entry;
    while (path != NULL && (entry = readdir(folder)) != NULL) {
        struct sockaddr_un peer = { 0 };
        socklen_t length = sizeof peer;
        /* Another thread may close it meanwhile, and its number may become that of a scrape's socket. */
        int socket = dup(atoi(entry->d_name));
        if (socket < 0) continue;
        if (getpeername(socket, (struct sockaddr *)&peer, &length) == 0 && peer.sun_family == AF_UNIX &&
            strcmp(peer.sun_path, path) == 0)
            shutdown(socket, SHUT_RDWR);
        close(socket);
    }
    closedir(folder);
}

static void fail_with(int domain, int code, const char *message)
{
    own_error = (struct error){ .code = code, .domain = domain, .message = message, .level = 2 };
    has_failed = 1;
}

/* Applies the fault that fits, if any, and says what the caller has to do besides. */
static enum consequence apply_fault(const struct function *function, word subject, int *number)
{
    struct fault fault, same;
    if (!find_fault(function, NULL, subject, 0, &fault)) return GOES_ON;
    *number = fault.number;
    enum consequence consequence = strcmp(fault.kind, "die") == 0    ? LOSES_CONNECTION
                                   : strcmp(fault.kind, "dead") == 0 ? FINDS_IT_DEAD
                                   : strncmp(fault.kind, "fail", 4) == 0 ? FAILS
                                                                         : GOES_ON;
    int is_once = consequence == LOSES_CONNECTION || consequence == FINDS_IT_DEAD || strcmp(fault.kind, "fail-once") == 0;
    if (is_once && atomic_exchange(&spent[fault.number], 1) != 0) return GOES_ON;
    atomic_fetch_add(&counters->felt[fault.number], 1);
    /* The RPC's own error of a call that reached the daemon: a daemon further on is not there. */
    if (consequence == FAILS)
        fail_with(fault.first, fault.second,
                  fault.first == 7 ? "Failed to connect socket to '/nonexistent': No such file or directory"
                                   : "the stand-in has failed this call");
    if (consequence != GOES_ON) return consequence;
    atomic_fetch_add(&counters->held, 1);
    if (strcmp(fault.kind, "delay") == 0) usleep(fault.first * 1000);
    else while (find_fault(function, NULL, subject, fault.number, &same)) usleep(2000);
    atomic_fetch_add(&counters->held, -1);
    return GOES_ON;
}

static void add_number(struct record *record, const char *name, unsigned long long number)
{
    int room = record->count;
    real("virTypedParamsAddULLong")((word)&record->parameters, (word)&record->count, (word)&room, (word)name, number, 0);
}

static void add_text(struct record *record, const char *name, const char *text)
{
    int room = record->count;
    real("virTypedParamsAddString")((word)&record->parameters, (word)&record->count, (word)&room, (word)name, (word)text,
                                    0);
}

/* Adds values of the asked groups, of a guest with one disk "vda" and one interface "tap0". */
static void make_values(struct record **records, int count, unsigned groups)
{
    static const struct {
        unsigned group;
        const char *name;
    } numbers[] = {
        { 1 << 1, "cpu.time" }, { 1 << 1, "cpu.user" }, { 1 << 1, "cpu.system" },
        { 1 << 2, "balloon.current" }, { 1 << 2, "balloon.maximum" }, { 1 << 2, "balloon.available" },
        { 1 << 2, "balloon.usable" }, { 1 << 2, "balloon.unused" }, { 1 << 2, "balloon.rss" },
        { 1 << 3, "vcpu.current" }, { 1 << 3, "vcpu.maximum" }, { 1 << 3, "vcpu.0.state" }, { 1 << 3, "vcpu.0.time" },
        { 1 << 4, "net.count" }, { 1 << 4, "net.0.rx.bytes" }, { 1 << 4, "net.0.tx.bytes" },
        { 1 << 5, "block.count" }, { 1 << 5, "block.0.rd.reqs" }, { 1 << 5, "block.0.rd.bytes" },
        { 1 << 5, "block.0.wr.reqs" }, { 1 << 5, "block.0.wr.bytes" },
    };
    for (int place = 0; place < count; place++) {
        for (size_t row = 0; row < sizeof numbers / sizeof *numbers; row++)
            if (groups & numbers[row].group) add_number(records[place], numbers[row].name, 1);
        if (groups & 1 << 4) add_text(records[place], "net.0.name", "tap0");
        if (groups & 1 << 5) add_text(records[place], "block.0.name", "vda");
    }
}

/* Fills in what virDomainBlockStatsFlags gives, or says how much that is when there is no room for it. */
static word make_disk(struct parameter *parameters, int *count)
{
    static const char *const names[] = { "rd_bytes", "rd_operations", "rd_total_times", "wr_bytes", "wr_operations" };
    int all = sizeof names / sizeof *names;
    for (int row = 0; row < *count && row < all; row++) {
        parameters[row] = (struct parameter){ .type = 4, .value = 1 };
        strcpy(parameters[row].name, names[row]);
    }
    *count = all;
    return 0;
}

static void count_effect(const struct function *function, word a, word b, int64_t result)
{
    struct record **records = (struct record **)a;
    switch (function->effect) {
    case OPENS:
        if (result != 0) atomic_fetch_add(&counters->connections, 1);
        if (result != 0) change_dead(result, 0, 0);
        break;
    case CLOSES: atomic_fetch_add(&counters->connections, -1); break;
    case REFERS: atomic_fetch_add(&counters->references, 1); break;
    case FREES: atomic_fetch_add(&counters->references, -1); break;
    case LISTS: atomic_fetch_add(&counters->references, b != 0 && (int)result > 0 ? (int)result : 0); break;
    case REPLIES: atomic_fetch_add(&counters->references, (int)result > 0 ? (int)result : 0); break;
    case REGISTERS: atomic_fetch_add(&counters->subscriptions, (int)result >= 0); break;
    case UNREGISTERS: atomic_fetch_add(&counters->subscriptions, -1); break;
    case FREES_REPLY:
        for (; records != NULL && *records != NULL; records++) atomic_fetch_add(&counters->references, -1);
        break;
    default: break;
    }
}

static word call(int row, word a, word b, word c, word d, word e, word f)
{
    const struct function *function = &functions[row];
    struct fault made;
    if (row == ROW_virGetLastError) return has_failed ? (word)&own_error : function->real(a, b, c, d, e, f);
    /* What gives something back does so even when it says that it has failed. */
    int is_release = function->effect == CLOSES || function->effect == UNREGISTERS;
    has_failed = 0;
    int number = 0;
    enum consequence consequence = apply_fault(function, a, &number);
    word connection = is_release ? 0 : connection_of(function, a);
    if (consequence == LOSES_CONNECTION && function->subject != OPENING) shut_down_sockets();
    if (consequence == FINDS_IT_DEAD && connection != 0) change_dead(0, connection, number);
    int dead_by = connection != 0 ? change_dead(connection, connection, 0) : 0;
    if (dead_by != 0) {
        /* It is felt again by each further call. */
        if (consequence != FINDS_IT_DEAD) atomic_fetch_add(&counters->felt[dead_by], 1);
        fail_with(7, 1, "client socket is closed");
    }
    if (has_failed && !is_release) return function->failure;
    /* The reply is not there any more once it has been freed. */
    if (function->effect == FREES_REPLY) count_effect(function, a, b, 0);
    int is_made = find_fault(function, "made", a, 0, &made);
    word result = is_made && row == ROW_virConnectGetType ? (word)"QEMU"
                  : is_made && row == ROW_virDomainBlockStatsFlags ? make_disk((struct parameter *)c, (int *)d)
                                                                 : function->real(a, b, c, d, e, f);
    if (function->effect != FREES_REPLY) count_effect(function, a, b, result);
    if (function->subject == OPENING && consequence == LOSES_CONNECTION) shut_down_sockets();
    if (function->subject == OPENING && consequence == FINDS_IT_DEAD) change_dead(0, result, number);
    if (function->effect == REPLIES && (int)result > 0 && is_made)
        make_values(*(struct record ***)c, (int)result, b);
    return has_failed ? function->failure : result;
}

FUNCTIONS(DEFINITION)
