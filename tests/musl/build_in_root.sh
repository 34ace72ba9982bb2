#!/bin/bash
# Runs as root inside a Debian in a folder that has compilers, and builds what a system needs that has musl for its C library and
# runs the exporter: musl, libvirt's client library with all that it needs linked in, and BusyBox. Sources are Debian's, as they
# were before Debian's own patches.
#
# Use: build_in_root.sh RELEASE MUSL_RELEASE
#   RELEASE is the release of Debian whose sources are taken, MUSL_RELEASE that for musl: musl's loader has to know DT_RELR,
#   which the libstdc++ of the system uses and musl has since 1.2.4. What is built comes to /system, as lib/ and bin/.
set -euo pipefail

release=$1 musl_release=$2
prefix=/musl
system=/system
sources=/sources
logs=/logs
jobs=$(nproc)

export CC=$prefix/bin/musl-gcc CFLAGS='-O2 -fPIC' MAKEINFO=true
export PATH=$prefix/bin:$PATH
export PKG_CONFIG_LIBDIR=$prefix/lib/pkgconfig PKG_CONFIG_PATH=

mkdir -p "$sources" "$logs" "$system/lib"

# Lets apt find the sources where it has the packages from, and nothing else: no more packages are wanted.
build_apt() {
  local mirror
  apt-get --quiet update
  mirror=$(apt-get indextargets --format '$(REPO_URI)' "Codename: $release" "Created-By: Packages" | head -n 1)
  rm -rf /etc/apt/sources.list /etc/apt/sources.list.d/*
  printf "deb-src $mirror %s main\n" "$release" "$musl_release" > /etc/apt/sources.list.d/sources.list
  apt-get --quiet update
}

# Downloads a source package and goes to its unpacked source. A mirror may lack one; then that of the other release is taken.
enter_source() {
  local name=$1 from=$2 one
  cd "$sources"
  for one in "$from" "$musl_release"; do
    ! apt-get --quiet source --download-only "$name/$one" || break
  done
  # The newest, should there be two: a download that failed leaves its description behind.
  one=$(ls "${name}_"*.dsc | sort --version-sort | tail -n 1)
  rm -rf "$name"
  dpkg-source --no-check --skip-patches -x "$one" "$name"
  cd "$name"
}

# Says that it is compiled for the system that it is compiled on, so that tests are run and not guessed: the loader is there.
configure() {
  ./configure --quiet --build=x86_64-pc-linux-musl --prefix="$prefix" --libdir="$prefix/lib" \
    --enable-static --disable-shared "$@"
}

build_musl() {
  enter_source musl "$musl_release"
  CC=gcc ./configure --prefix="$prefix" --syslibdir=/lib --enable-wrapper=gcc --disable-static
  make -j"$jobs"
  make install
  # What every other C library has beside its own headers: the kernel's, and BSD's queues.
  ln -s /usr/include/linux /usr/include/asm-generic "$prefix/include"
  ln -s /usr/include/x86_64-linux-gnu/asm "$prefix/include"
  sed '/sys\/cdefs.h/d' /usr/include/x86_64-linux-gnu/sys/queue.h > "$prefix/include/sys/queue.h"
  cp "$prefix/lib/libc.so" "$system/lib/ld-musl-x86_64.so.1"
  ln -s ld-musl-x86_64.so.1 "$system/lib/libc.musl-x86_64.so.1"
}

build_zlib() {
  enter_source zlib "$release"
  ./configure --prefix="$prefix" --static
  make -j"$jobs" libz.a
  make install
}

build_libffi() {
  enter_source libffi "$release"
  configure --disable-docs --disable-multi-os-directory
  make -j"$jobs"
  make install
}

build_pcre2() {
  enter_source pcre2 "$release"
  configure --disable-jit
  make -j"$jobs" libpcre2-8.la
  make install-libLTLIBRARIES lib_LTLIBRARIES=libpcre2-8.la
  install -D -t "$prefix/include" src/pcre2.h
  install -D -t "$prefix/lib/pkgconfig" libpcre2-8.pc
}

build_glib() {
  enter_source glib2.0 "$release"
  meson setup musl --prefix "$prefix" --libdir lib --buildtype release --default-library static \
    --wrap-mode nodownload -Dprefer_static=true -Dlibmount=disabled -Dselinux=disabled -Dnls=disabled -Dtests=false \
    -Dxattr=false -Dlibelf=disabled -Dman=false -Dglib_debug=disabled
  ninja -C musl
  meson install -C musl --no-rebuild
}

build_libxml2() {
  enter_source libxml2 "$release"
  configure --without-python --without-lzma --without-zlib --without-http --without-ftp --without-debug \
    --without-docbook --without-history --without-readline
  make -j"$jobs" libxml2.la
  make install-libLTLIBRARIES install-pkgconfigDATA
  make -C include install
}

# With its own small arithmetic instead of GMP, which does for a test: it is slow, and not made against attacks by time.
build_nettle() {
  enter_source nettle "$release"
  configure --enable-mini-gmp --disable-documentation --disable-assembler --disable-openssl
  make -j"$jobs" libnettle.a libhogweed.a nettle.pc hogweed.pc
  make install-static install-headers install-pkgconfig
}

build_gnutls() {
  enter_source gnutls28 "$release"
  configure --with-nettle-mini --with-included-libtasn1 --with-included-unistring --without-p11-kit --without-idn \
    --without-zlib --without-brotli --without-zstd --without-tpm --without-tpm2 --disable-cxx --disable-tools \
    --disable-doc --disable-tests --disable-nls --disable-guile --disable-libdane --disable-hardware-acceleration
  make -j"$jobs" -C gl
  make -j"$jobs" -C lib
  make -C lib install
}

build_libtirpc() {
  enter_source libtirpc "$release"
  configure --disable-gssapi --disable-authdes --disable-ipv6
  make -j"$jobs"
  make install
}

build_libvirt() {
  enter_source libvirt "$release"
  # For code that an exception may cross the compiler's unwinder is linked in, which asks for a function of glibc's loader.
  sed -i "/^  '-fexceptions',/d" meson.build
  meson setup musl --prefix "$prefix" --libdir lib --localstatedir /var --sysconfdir /etc -Drunstatedir=/run \
    --buildtype release --wrap-mode nodownload -Dprefer_static=true -Dauto_features=disabled \
    -Ddriver_remote=enabled -Ddriver_test=enabled -Ddriver_libvirtd=disabled -Ddocs=disabled -Dtests=disabled
  local library
  library=$(ninja -C musl -t targets all | sed -n 's#^src/\(libvirt\.so\.0\.[0-9.]*\): .*#\1#p')
  ninja -C musl "src/$library"
  install -s "musl/src/$library" "$system/lib/libvirt.so.0"
}

# The shell and the programs that Alpine has from it, no more than the images and the tests use.
build_busybox() {
  enter_source busybox "$release"
  make allnoconfig
  local option
  for option in ASH SH_IS_ASH ASH_ALIAS ASH_GETOPTS ASH_PRINTF ASH_TEST ASH_ECHO SHELL_ASH FEATURE_SH_MATH \
    ADDUSER ADDGROUP FEATURE_ADDUSER_TO_GROUP FEATURE_SHADOWPASSWDS LONG_OPTS \
    CAT CHMOD CHROOT CP DIRNAME ECHO ENV GREP ID LN LS MKDIR MV PRINTF RM SED SLEEP TEST TOUCH TRUE UNAME \
    WGET FEATURE_WGET_STATUSBAR FEATURE_WGET_TIMEOUT FEATURE_WGET_LONG_OPTIONS; do
    sed -i "s/^# CONFIG_$option is not set/CONFIG_$option=y/" .config
  done
  # Without an option for it these are 0, and nobody could be added.
  sed -i 's/^\(CONFIG_FIRST_SYSTEM_ID\)=.*/\1=100/; s/^\(CONFIG_LAST_SYSTEM_ID\)=.*/\1=999/; s/^\(CONFIG_LAST_ID\)=.*/\1=60000/' .config
  # A value is asked for when what it belongs to is switched on.
  yes '' | make oldconfig > /dev/null || true
  make -j"$jobs" CC="$CC" HOSTCC=gcc CONFIG_PREFIX="$system" install
}

# Builds what is named, one after the other, each with its output in a file of its own.
build() {
  local name began
  for name in "$@"; do
    began=$SECONDS
    # In a process of its own: an error would not end what is itself the condition of something.
    (set -e; "build_$name") > "$logs/$name" 2>&1 &
    if ! wait $!; then
      printf 'Cannot build %s:\n' "$name" >&2
      tail -n 20 "$logs/$name" >&2
      return 1
    fi
    printf '%s %d s\n' "$name" $((SECONDS - began)) >&2
  done
}

build apt musl
# Most of the time each of them runs scripts that keep one processor busy.
build zlib libffi pcre2 glib libxml2 libtirpc &
first=$!
build nettle gnutls busybox
wait "$first"
build libvirt
