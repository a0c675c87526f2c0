//! What the kernel knows of the client of a TCP connection on the same machine.
//!
//! A client that has closed its connection and one that has closed its half only have sent the same FIN. Linux tells who
//! is which to whoever asks (sock_diag(7)): a socket that no process holds any more has no inode. Where it can't be asked, and of
//! clients on other machines, nothing is known.

use std::net::SocketAddr;

/// Whether the client at `client`, connected with `here`, has closed its side of the connection altogether: false where that is not known.
pub(super) fn has_closed(client: SocketAddr, here: SocketAddr) -> bool {
    #[cfg(target_os = "linux")]
    return matches!(linux::look(client, here), Ok(Some((linux::FIN_WAIT_1 | linux::FIN_WAIT_2, 0))));
    #[cfg(not(target_os = "linux"))]
    {
        let _ = (client, here);
        false
    }
}

#[cfg(target_os = "linux")]
mod linux {
    use std::io;
    use std::net::{IpAddr, SocketAddr};

    use rustix::net::{
        AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, netlink, recv, send, socket_with,
    };

    /// `TCP_FIN_WAIT1`: it has sent its FIN.
    pub(super) const FIN_WAIT_1: u8 = 4;
    /// `TCP_FIN_WAIT2`: its FIN has arrived, the other one's has not.
    pub(super) const FIN_WAIT_2: u8 = 5;

    const SOCK_DIAG_BY_FAMILY: u16 = 20;
    const NLM_F_REQUEST: u16 = 1;
    const IPPROTO_TCP: u8 = 6;
    /// Bytes of an `nlmsghdr`.
    const HEADER: usize = 16;
    /// Bytes of an `inet_diag_req_v2`.
    const REQUEST: usize = 56;
    /// Where an `inet_diag_msg` has its inode.
    const INODE: usize = 68;

    /// The state and the inode of the socket at `own` that is connected with `other`, if the answer is about a socket.
    pub(super) fn look(own: SocketAddr, other: SocketAddr) -> io::Result<Option<(u8, u32)>> {
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let kernel = socket_with(AddressFamily::NETLINK, SocketType::DGRAM, flags, Some(netlink::SOCK_DIAG))?;
        let request = request(own, other);
        if send(&kernel, &request, SendFlags::empty())? != request.len() {
            return Ok(None);
        }
        // The kernel has answered before `send` returns.
        let mut answer = [0; 1024];
        let (count, _) = recv(&kernel, &mut answer, RecvFlags::empty())?;
        Ok(read(answer.get(..count).unwrap_or_default()))
    }

    fn request(own: SocketAddr, other: SocketAddr) -> Vec<u8> {
        let (own_ip, other_ip) = (own.ip().to_canonical(), other.ip().to_canonical());
        // rustix has no numbers for families: those of Linux are the same on all of its platforms.
        let family = if own_ip.is_ipv4() { 2 } else { 10 };
        let mut bytes = Vec::with_capacity(HEADER + REQUEST);
        bytes.extend_from_slice(&((HEADER + REQUEST) as u32).to_ne_bytes());
        bytes.extend_from_slice(&SOCK_DIAG_BY_FAMILY.to_ne_bytes());
        bytes.extend_from_slice(&NLM_F_REQUEST.to_ne_bytes());
        // A sequence number and a port, which one question does without.
        bytes.extend_from_slice(&[0; 8]);
        bytes.extend_from_slice(&[family, IPPROTO_TCP, 0, 0]);
        // In whatever state.
        bytes.extend_from_slice(&u32::MAX.to_ne_bytes());
        bytes.extend_from_slice(&own.port().to_be_bytes());
        bytes.extend_from_slice(&other.port().to_be_bytes());
        bytes.extend_from_slice(&words(own_ip));
        bytes.extend_from_slice(&words(other_ip));
        // On any interface, with any cookie.
        bytes.extend_from_slice(&0_u32.to_ne_bytes());
        bytes.extend_from_slice(&u64::MAX.to_ne_bytes());
        bytes
    }

    fn words(ip: IpAddr) -> [u8; 16] {
        match ip {
            IpAddr::V6(ip) => ip.octets(),
            IpAddr::V4(ip) => {
                let [a, b, c, d] = ip.octets();
                [a, b, c, d, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]
            }
        }
    }

    /// State and inode; none of an error, for one that there is no such socket.
    fn read(answer: &[u8]) -> Option<(u8, u32)> {
        let kind = answer.get(4..6)?;
        let message = answer.get(HEADER..)?;
        let state = *message.get(1)?;
        let inode = message.get(INODE..)?.first_chunk()?;
        (kind == SOCK_DIAG_BY_FAMILY.to_ne_bytes()).then(|| (state, u32::from_ne_bytes(*inode)))
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use std::net::{Shutdown, TcpListener, TcpStream};

    use super::*;

    fn pair(address: &str) -> Option<(TcpStream, TcpStream)> {
        // A machine may have no IPv6.
        let listener = TcpListener::bind(address).ok()?;
        let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        Some((client, listener.accept().unwrap().0))
    }

    #[test]
    fn a_client_that_has_closed_both_halves_is_told_from_one_that_has_closed_one() {
        for address in ["127.0.0.1:0", "[::1]:0"] {
            let Some((client, accepted)) = pair(address) else { continue };
            let (from, here) = (client.peer_addr().unwrap(), client.local_addr().unwrap());
            assert!(!has_closed(here, from), "it is connected");
            client.shutdown(Shutdown::Write).unwrap();
            assert!(!has_closed(here, from), "it can be answered");
            let known = linux::look(here, from).unwrap();
            assert!(matches!(known, Some((4 | 5, 1..))), "{known:?}");
            drop(client);
            assert!(has_closed(here, from));
            drop(accepted);
        }
    }

    #[test]
    fn nothing_is_known_of_others() {
        let nobody = "192.0.2.1:9".parse().unwrap();
        assert!(!has_closed(nobody, "127.0.0.1:9".parse().unwrap()));
    }
}
