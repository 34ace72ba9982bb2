/**
 * The configuration files of the cloud: each service with one worker, all on the loopback address, with one password.
 *
 * @module
 */

import { HOST_NAME } from "./root.ts";

/** The password of every user and database of the cloud. */
export const PASSWORD = "secret";

/** What all services listen on. */
export const ADDRESS = "127.0.0.1";

/** The databases, each with a user of the same name. */
export const DATABASES: readonly string[] = [
  "cinder",
  "glance",
  "keystone",
  "neutron",
  "nova",
  "nova_api",
  "nova_cell0",
  "placement",
];

/** What Cinder takes for an NFS server's folder; what mounts it takes the folder of the host instead. */
const SHARE = `${ADDRESS}:/volumes`;

/** Settings by section and name; a name without a value is left out. */
type Sections = Readonly<Record<string, Readonly<Record<string, string | number | boolean>>>>;

/** Writes settings as oslo.config reads them. */
export function settingsFile(sections: Sections): string {
  return Object.entries(sections).map(([section, settings]) =>
    [`[${section}]`, ...Object.entries(settings).map(([name, value]) => `${name} = ${value}`), ""]
      .join("\n")
  ).join("\n");
}

/** Where SQLAlchemy finds a database. */
export function databaseUrl(name: string, user: string = name): string {
  return `mysql+pymysql://${user}:${PASSWORD}@${ADDRESS}/${name}`;
}

function credentials(username: string): Readonly<Record<string, string | boolean>> {
  return {
    "auth_type": "password",
    "auth_url": `http://${ADDRESS}:5000/v3`,
    "password": PASSWORD,
    "project_domain_name": "Default",
    "project_name": "service",
    "user_domain_name": "Default",
    username,
  };
}

function tokens(username: string): Readonly<Record<string, string | boolean>> {
  return {
    ...credentials(username),
    "memcached_servers": `${ADDRESS}:11211`,
    "service_token_roles_required": false,
    "www_authenticate_uri": `http://${ADDRESS}:5000/v3`,
  };
}

const REGION = { "region_name": "RegionOne" } as const;
const TRANSPORT = { "transport_url": `rabbit://guest:guest@${ADDRESS}:5672/` } as const;

const NETWORK_PLUGIN = settingsFile({
  ml2: {
    "extension_drivers": "port_security",
    "mechanism_drivers": "linuxbridge",
    "tenant_network_types": "local",
    "type_drivers": "flat,local",
  },
  "ml2_type_flat": { "flat_networks": "physical" },
  securitygroup: { "enable_security_group": false, "firewall_driver": "noop" },
  "linux_bridge": { "bridge_mappings": "physical:bridge0" },
  vxlan: { "enable_vxlan": false },
  agent: { "polling_interval": 1 },
});

const NOVA = settingsFile({
  DEFAULT: {
    ...TRANSPORT,
    "allow_resize_to_same_host": true,
    "compute_driver": "libvirt.LibvirtDriver",
    "enabled_apis": "osapi_compute",
    host: HOST_NAME,
    "initial_disk_allocation_ratio": 16,
    "my_ip": ADDRESS,
    "osapi_compute_listen": ADDRESS,
    "osapi_compute_workers": 1,
    "reserved_host_disk_mb": 0,
    "reserved_host_memory_mb": 0,
    "shelved_offload_time": 0,
    "shutdown_timeout": 20,
    "state_path": "/var/lib/nova",
  },
  api: { "auth_strategy": "keystone" },
  "api_database": { connection: databaseUrl("nova_api") },
  cinder: {
    ...credentials("nova"),
    "catalog_info": "volumev3::publicURL",
    "os_region_name": "RegionOne",
  },
  conductor: { workers: 1 },
  database: { connection: databaseUrl("nova") },
  // Whether the machine has room is not what is tested.
  "filter_scheduler": { "enabled_filters": "ComputeFilter,ImagePropertiesFilter" },
  glance: { "api_servers": `http://${ADDRESS}:9292` },
  "keystone_authtoken": tokens("nova"),
  libvirt: {
    "connection_uri": "qemu:///system",
    "cpu_mode": "none",
    "inject_partition": -2,
    "virt_type": "qemu",
    "wait_soft_reboot_seconds": 60,
  },
  neutron: { ...credentials("neutron"), ...REGION, "service_metadata_proxy": false },
  "oslo_concurrency": { "lock_path": "/var/lib/nova/tmp" },
  placement: { ...credentials("placement"), ...REGION },
  scheduler: { "discover_hosts_in_cells_interval": 5, workers: 1 },
  "service_user": { ...credentials("nova"), "send_service_user_token": true },
  spice: { enabled: false },
  vnc: { enabled: false },
  workarounds: { "skip_cpu_compare_on_dest": true },
});

/** The files of `/etc` by their paths below it, instead of those that the packages bring. */
export const CONFIGURATION: Readonly<Record<string, string>> = {
  "cinder/cinder.conf": settingsFile({
    DEFAULT: {
      ...TRANSPORT,
      "api_paste_config": "/etc/cinder/api-paste.ini",
      "auth_strategy": "keystone",
      "default_volume_type": "files",
      "enabled_backends": "files",
      "glance_api_servers": `http://${ADDRESS}:9292`,
      host: HOST_NAME,
      "my_ip": ADDRESS,
      "rootwrap_config": "/etc/cinder/rootwrap.conf",
      "state_path": "/var/lib/cinder",
    },
    database: { connection: databaseUrl("cinder") },
    files: {
      "nas_secure_file_operations": false,
      "nas_secure_file_permissions": false,
      "nfs_mount_point_base": "/var/lib/cinder/mnt",
      "nfs_shares_config": "/etc/cinder/shares",
      "nfs_snapshot_support": true,
      "nfs_sparsed_volumes": true,
      "volume_backend_name": "files",
      "volume_driver": "cinder.volume.drivers.nfs.NfsDriver",
    },
    "keystone_authtoken": tokens("cinder"),
    nova: { ...credentials("nova"), ...REGION },
    "oslo_concurrency": { "lock_path": "/var/lib/cinder/tmp" },
    "service_user": { ...credentials("cinder"), "send_service_user_token": true },
  }),
  "cinder/shares": `${SHARE}\n`,
  "glance/glance-api.conf": settingsFile({
    DEFAULT: { "bind_host": ADDRESS, workers: 1 },
    database: { connection: databaseUrl("glance") },
    "glance_store": {
      "default_store": "file",
      "filesystem_store_datadir": "/var/lib/glance/images/",
      stores: "file",
    },
    "keystone_authtoken": tokens("glance"),
    "paste_deploy": { flavor: "keystone" },
  }),
  "keystone/keystone.conf": settingsFile({
    database: { connection: databaseUrl("keystone") },
    // A run is shorter than this, so no token has to be asked for anew.
    token: { expiration: 86_400, provider: "fernet" },
  }),
  "libvirt/libvirtd.conf":
    `auth_unix_ro = "none"\nauth_unix_rw = "none"\nunix_sock_rw_perms = "0777"\n`,
  "libvirt/qemu.conf": `user = "root"
group = "root"
security_driver = "none"
namespaces = []
remember_owner = 0
`,
  "neutron/neutron.conf": settingsFile({
    DEFAULT: {
      ...TRANSPORT,
      "api_workers": 1,
      "bind_host": ADDRESS,
      "core_plugin": "ml2",
      host: HOST_NAME,
      "notify_nova_on_port_data_changes": true,
      "notify_nova_on_port_status_changes": true,
      "rpc_state_report_workers": 0,
      "rpc_workers": 1,
      "service_plugins": "",
      "state_path": "/var/lib/neutron",
    },
    agent: { "root_helper": "sudo /usr/bin/neutron-rootwrap /etc/neutron/rootwrap.conf" },
    database: { connection: databaseUrl("neutron") },
    experimental: { linuxbridge: true },
    "keystone_authtoken": tokens("neutron"),
    nova: { ...credentials("nova"), ...REGION },
    "oslo_concurrency": { "lock_path": "/var/lib/neutron/tmp" },
  }),
  "neutron/plugins/ml2/linuxbridge_agent.ini": NETWORK_PLUGIN,
  "neutron/plugins/ml2/ml2_conf.ini": NETWORK_PLUGIN,
  "nova/nova-compute.conf": "",
  "nova/nova.conf": NOVA,
  "placement/placement.conf": settingsFile({
    api: { "auth_strategy": "keystone" },
    "keystone_authtoken": tokens("placement"),
    "placement_database": { connection: databaseUrl("placement") },
  }),
  // Clients keep their connections open and fail when the server, which does not, closes one unannounced.
  "uwsgi.ini": `[uwsgi]
add-header = Connection: close
buffer-size = 65535
die-on-term = true
disable-logging = true
master = true
need-app = true
processes = 1
threads = 4
`,
};
