// CommonJS on purpose: Deno loads an addon by `require` only, and Bun's bundler embeds a file that is required by a
// literal path.
module.exports = require("../../native/libvirt_nova_native.node");
