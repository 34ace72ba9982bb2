/*
 * In a modular libvirt, virtqemud opens a connection to virtstoraged and one to virtnetworkd for each of its clients, and passes
 * on what the client asks about pools and networks. A libvirtd that is started without those drivers only refuses such
 * questions. Preloaded into it, this passes them on as virtqemud does.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <pthread.h>
#include <stddef.h>

typedef void *Connection;
typedef void *Object;

enum Kind { STORAGE, NETWORK, KINDS };

/* A monolithic daemon connects to another one only when the address names a host. */
static const char *const ADDRESSES[KINDS] = {
    "storage+ext://daemon/system?command=/run/programs/to-virtstoraged",
    "network+ext://daemon/system?command=/run/programs/to-virtnetworkd",
};

enum { CLIENTS = 1024 };

static struct Client {
    Connection primary;
    Connection secondary[KINDS];
} clients[CLIENTS];

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

Connection virConnectOpen(const char *address);
int virConnectRef(Connection connection);

static Connection secondary_of(struct Client *client, enum Kind kind)
{
    if (client->secondary[kind] == NULL) client->secondary[kind] = virConnectOpen(ADDRESSES[kind]);
    return client->secondary[kind];
}

/* The connection to ask instead of a client's; NULL, with libvirt's error, when it cannot be opened. */
static Connection other(Connection primary, enum Kind kind)
{
    Connection found = NULL;
    pthread_mutex_lock(&lock);
    for (size_t index = 0; index < CLIENTS; index++) {
        struct Client *client = &clients[index];
        if (client->secondary[kind] == primary) {
            /* libvirt's own code works on it. */
            found = primary;
            break;
        }
        if (client->primary == NULL) {
            /* It is kept, so that no later client gets its address. */
            virConnectRef(primary);
            client->primary = primary;
        }
        if (client->primary == primary) {
            found = secondary_of(client, kind);
            break;
        }
    }
    pthread_mutex_unlock(&lock);
    return found;
}

#define NEXT(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

int virConnectListAllStoragePools(Connection primary, Object **pools, unsigned int flags)
{
    Connection connection = other(primary, STORAGE);
    return connection == NULL ? -1 : NEXT(virConnectListAllStoragePools)(connection, pools, flags);
}

Object virGetStoragePool(Connection primary, const char *name, const unsigned char *uuid, void *data, void *release)
{
    Connection connection = other(primary, STORAGE);
    return connection == NULL ? NULL : NEXT(virGetStoragePool)(connection, name, uuid, data, release);
}

Object virGetStorageVol(Connection primary, const char *pool, const char *name, const char *key, void *data, void *release)
{
    Connection connection = other(primary, STORAGE);
    return connection == NULL ? NULL : NEXT(virGetStorageVol)(connection, pool, name, key, data, release);
}

int virConnectListAllNetworks(Connection primary, Object **networks, unsigned int flags)
{
    Connection connection = other(primary, NETWORK);
    return connection == NULL ? -1 : NEXT(virConnectListAllNetworks)(connection, networks, flags);
}

Object virGetNetwork(Connection primary, const char *name, const unsigned char *uuid)
{
    Connection connection = other(primary, NETWORK);
    return connection == NULL ? NULL : NEXT(virGetNetwork)(connection, name, uuid);
}
