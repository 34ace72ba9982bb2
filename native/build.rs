//! Sets the linker up for an N-API addon.

fn main() {
    napi_build::setup();
}
