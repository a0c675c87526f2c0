//! Sockets that accept connections on this machine.

use std::fs;
use std::future::poll_fn;
use std::io::{self, ErrorKind};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::task::Poll;

use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType, socket_with};
use tokio::net::{TcpListener, UnixListener, lookup_host};

use super::{Bind, Connection, Listen};

/// How many connections wait to be accepted.
const BACKLOG: i32 = 128;

/// How often a port is picked that is free for both versions of IP.
const PICKS: usize = 16;

/// A listener can't be opened.
#[derive(Debug, thiserror::Error)]
pub enum ListenError {
    /// The socket can't be opened at this address or path.
    #[error("could not listen on {at}")]
    Refused {
        /// The address or path.
        at: String,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// Another process accepts connections there.
    #[error("could not listen on {}: another process does", .0.display())]
    InUse(PathBuf),
    /// There is a file that is no socket.
    #[error("could not listen on {}: there is a file, and it is no socket", .0.display())]
    NotASocket(PathBuf),
    /// The name of the bind address has no address.
    #[error("could not find an address of {0:?} to listen on")]
    NoAddress(String),
}

fn refused(at: impl ToString) -> impl FnOnce(io::Error) -> ListenError {
    move |source| ListenError::Refused { at: at.to_string(), source }
}

#[derive(Debug)]
enum Socket {
    Tcp(TcpListener),
    Unix(UnixListener),
}

/// Open sockets. Dropped, they are closed, and a Unix socket's file is removed.
#[derive(Debug)]
pub struct Listener {
    sockets: Vec<Socket>,
    addresses: Vec<SocketAddr>,
    file: Option<SocketFile>,
}

impl Listener {
    /// Opens what was asked for, and accepts connections from then on: they wait for [`Listener::accept`].
    ///
    /// # Errors
    /// The address is taken, or can't be had.
    pub async fn open(listen: &Listen) -> Result<Listener, ListenError> {
        match listen {
            Listen::Tcp { bind, port } => Listener::tcp(bind, *port).await,
            Listen::Unix(path) => Listener::unix(path),
        }
    }

    async fn tcp(bind: &Bind, port: u16) -> Result<Listener, ListenError> {
        let addresses: Vec<IpAddr> = match bind {
            Bind::Localhost => return Listener::localhost(port).await,
            Bind::All => return Listener::everywhere(port).await,
            Bind::Address(address) => vec![*address],
            Bind::Name(name) => {
                let found = lookup_host((name.as_str(), port)).await;
                found.map_err(refused(name))?.map(|address| address.ip()).collect()
            }
        };
        let Some(address) = addresses.first() else {
            return Err(ListenError::NoAddress(bind.to_string()));
        };
        Listener::of(vec![tcp_at(*address, port).await?])
    }

    /// On both loopback addresses: programs try one or the other first, and must not find somebody else there.
    async fn localhost(port: u16) -> Result<Listener, ListenError> {
        let mut picked = 0;
        loop {
            picked += 1;
            let v4 = tcp_at(Ipv4Addr::LOCALHOST.into(), port).await?;
            let same = v4.local_addr().map_err(refused("localhost"))?.port();
            match tcp_at(Ipv6Addr::LOCALHOST.into(), same).await {
                Ok(v6) => return Listener::of(vec![v4, v6]),
                Err(ListenError::Refused { source, .. }) if has_no_ipv6(&source) => {
                    return Listener::of(vec![v4]);
                }
                Err(_) if port == 0 && picked < PICKS => {}
                Err(error) => return Err(error),
            }
        }
    }

    async fn everywhere(port: u16) -> Result<Listener, ListenError> {
        // One socket takes both versions of IP, where there are both.
        let socket = match tcp_at(Ipv6Addr::UNSPECIFIED.into(), port).await {
            Err(ListenError::Refused { source, .. }) if has_no_ipv6(&source) => {
                tcp_at(Ipv4Addr::UNSPECIFIED.into(), port).await
            }
            other => other,
        };
        Listener::of(vec![socket?])
    }

    fn of(listeners: Vec<TcpListener>) -> Result<Listener, ListenError> {
        let addresses: io::Result<Vec<SocketAddr>> = listeners.iter().map(TcpListener::local_addr).collect();
        let addresses = addresses.map_err(refused("localhost"))?;
        Ok(Listener { sockets: listeners.into_iter().map(Socket::Tcp).collect(), addresses, file: None })
    }

    fn unix(path: &Path) -> Result<Listener, ListenError> {
        remove_stale(path)?;
        let at = path.display();
        let open = || -> io::Result<(UnixListener, SocketFile)> {
            let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
            let socket = socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)?;
            rustix::net::bind(&socket, &SocketAddrUnix::new(path)?)?;
            let file = SocketFile::new(path)?;
            // Nobody can connect before this: the socket does not listen yet.
            fs::set_permissions(path, fs::Permissions::from_mode(0o600))?;
            rustix::net::listen(&socket, BACKLOG)?;
            Ok((UnixListener::from_std(socket.into())?, file))
        };
        let (socket, file) = open().map_err(refused(at))?;
        Ok(Listener { sockets: vec![Socket::Unix(socket)], addresses: Vec::new(), file: Some(file) })
    }

    /// The addresses that it listens on, with the port that was picked; none for a Unix socket.
    pub fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// The port that it listens on, none for a Unix socket.
    pub fn port(&self) -> Option<u16> {
        self.addresses.first().map(SocketAddr::port)
    }

    /// The path of its Unix socket.
    pub fn path(&self) -> Option<&Path> {
        self.file.as_ref().map(|file| file.path.as_path())
    }

    /// Waits for a connection, and says whose it is. Nothing is lost if the future is dropped.
    ///
    /// # Errors
    /// The system gave none: too many files are open, or the client was gone already. The listener goes on.
    pub(super) async fn accept(&self) -> io::Result<(Connection, String)> {
        poll_fn(|context| {
            for socket in &self.sockets {
                let accepted = match socket {
                    Socket::Tcp(listener) => listener
                        .poll_accept(context)
                        .map_ok(|(stream, from)| (Connection::tcp(stream), from.to_string())),
                    Socket::Unix(listener) => listener
                        .poll_accept(context)
                        .map_ok(|(stream, _)| (Connection::unix(stream), "unix".to_owned())),
                };
                if accepted.is_ready() {
                    return accepted;
                }
            }
            Poll::Pending
        })
        .await
    }
}

async fn tcp_at(address: IpAddr, port: u16) -> Result<TcpListener, ListenError> {
    let at = SocketAddr::new(address, port);
    TcpListener::bind(at).await.map_err(refused(at))
}

fn has_no_ipv6(error: &io::Error) -> bool {
    error.kind() == ErrorKind::AddrNotAvailable
        || error.raw_os_error() == Some(rustix::io::Errno::AFNOSUPPORT.raw_os_error())
}

/// Removes a socket that nobody listens on: its process was killed.
fn remove_stale(path: &Path) -> Result<(), ListenError> {
    let metadata = match fs::symlink_metadata(path) {
        Ok(metadata) => metadata,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(refused(path.display())(error)),
    };
    if !metadata.file_type().is_socket() {
        return Err(ListenError::NotASocket(path.to_owned()));
    }
    match std::os::unix::net::UnixStream::connect(path) {
        Err(error) if error.kind() == ErrorKind::ConnectionRefused => {
            fs::remove_file(path).map_err(refused(path.display()))
        }
        Err(error) if error.kind() != ErrorKind::WouldBlock => Err(refused(path.display())(error)),
        _ => Err(ListenError::InUse(path.to_owned())),
    }
}

/// The file of a Unix socket, removed at the end if it still is ours.
#[derive(Debug)]
struct SocketFile {
    path: PathBuf,
    identity: (u64, u64),
}

impl SocketFile {
    fn new(path: &Path) -> io::Result<SocketFile> {
        let metadata = fs::symlink_metadata(path)?;
        // The directory may change under a relative path.
        let path = std::path::absolute(path)?;
        Ok(SocketFile { path, identity: (metadata.dev(), metadata.ino()) })
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        let found = fs::symlink_metadata(&self.path);
        if found.is_ok_and(|metadata| (metadata.dev(), metadata.ino()) == self.identity) {
            // It is gone, or somebody took away the right to remove it: there is nobody to tell.
            let _ = fs::remove_file(&self.path);
        }
    }
}
