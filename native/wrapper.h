/* The headers that bindgen.sh reads. */
#include <libvirt/libvirt.h>
#include <libvirt/virterror.h>
