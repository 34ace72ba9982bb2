//! One datagram to a socket of this host. No JavaScript runtime has datagram sockets of the family `AF_UNIX`.

use std::io;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};

use napi::{Error, Result, Status};
use napi_derive::napi;

/// Sends `text` to the socket at `address`: a path, or a name in Linux's abstract namespace with an `@` before it. Never
/// waits: a receiver whose queue is full is a failure.
///
/// # Errors
/// The operating system's reason, in one line, when the datagram was not taken.
#[napi]
pub fn send_datagram(address: String, text: String) -> Result<()> {
    send(&address, text.as_bytes())
        .map_err(|error| Error::new(Status::GenericFailure, error.to_string()))
}

fn send(address: &str, bytes: &[u8]) -> io::Result<()> {
    let socket = UnixDatagram::unbound()?;
    socket.set_nonblocking(true)?;
    let address = match address.strip_prefix('@') {
        Some(name) => SocketAddr::from_abstract_name(name)?,
        None => SocketAddr::from_pathname(address)?,
    };
    let sent = socket.send_to_addr(bytes, &address)?;
    if sent < bytes.len() {
        return Err(io::Error::new(io::ErrorKind::WriteZero, "the datagram was cut short"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A name that no other test run has.
    fn unique(name: &str) -> String {
        format!("datagram_test_{}_{name}", std::process::id())
    }

    fn received(socket: &UnixDatagram) -> Vec<u8> {
        let mut buffer = [0; 64];
        let length = socket.recv(&mut buffer).expect("a datagram is there");
        buffer[..length].to_vec()
    }

    #[test]
    fn a_datagram_reaches_a_socket_by_path_and_by_abstract_name() {
        let path = std::env::temp_dir().join(unique("path"));
        let by_path = UnixDatagram::bind(&path).expect("a socket can be made");
        send(path.to_str().expect("the path is text"), b"READY=1\n").expect("it is taken");
        std::fs::remove_file(&path).expect("the socket is there");
        assert_eq!(received(&by_path), b"READY=1\n");

        let name = unique("abstract");
        let address = SocketAddr::from_abstract_name(&name).expect("the name fits");
        let by_name = UnixDatagram::bind_addr(&address).expect("a socket can be made");
        send(&format!("@{name}"), b"STOPPING=1").expect("it is taken");
        assert_eq!(received(&by_name), b"STOPPING=1");
    }

    #[test]
    fn a_receiver_that_does_not_read_is_a_failure_and_no_wait() {
        let name = unique("full");
        let address = SocketAddr::from_abstract_name(&name).expect("the name fits");
        let _receiver = UnixDatagram::bind_addr(&address).expect("a socket can be made");
        let failure = (0..100_000).find_map(|_| send(&format!("@{name}"), &[b'x'; 4096]).err());
        assert_eq!(failure.map(|error| error.kind()), Some(io::ErrorKind::WouldBlock));
    }

    #[test]
    fn an_address_without_a_socket_or_too_long_for_one_is_a_failure() {
        for address in
            ["/nonexistent/socket", &"/x".repeat(100), &"@y".repeat(100), "@", "", "/a\0b"]
        {
            assert!(send(address, b"x").is_err(), "{address}");
        }
    }
}
