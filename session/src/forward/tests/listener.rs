use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UnixStream};

use crate::forward::{Bind, Listen, ListenError, Listener};

async fn tcp(bind: Bind, port: u16) -> Result<Listener, ListenError> {
    Listener::open(&Listen::Tcp { bind, port }).await
}

async fn unix(path: &Path) -> Result<Listener, ListenError> {
    Listener::open(&Listen::Unix(path.to_owned())).await
}

#[tokio::test]
async fn localhost_is_reached_by_both_versions_of_ip_at_one_port() {
    let listener = tcp(Bind::Localhost, 0).await.unwrap();
    let port = listener.port().unwrap();
    assert_ne!(port, 0);
    for address in listener.addresses().to_vec() {
        assert!(address.ip().is_loopback() && address.port() == port, "{address}");
        let client = TcpStream::connect(address).await.unwrap();
        let (_connection, peer) = listener.accept().await.unwrap();
        assert_eq!(peer, client.local_addr().unwrap().to_string());
    }
    let has_ipv6 = TcpListener::bind("[::1]:0").await.is_ok();
    assert_eq!(listener.addresses().len(), if has_ipv6 { 2 } else { 1 });
}

#[tokio::test]
async fn everywhere_includes_ipv4() {
    let listener = tcp(Bind::All, 0).await.unwrap();
    let _client = TcpStream::connect(("127.0.0.1", listener.port().unwrap())).await.unwrap();
    listener.accept().await.unwrap();
}

#[tokio::test]
async fn a_taken_port_is_an_error_that_names_it() {
    let first = tcp(Bind::Address([127, 0, 0, 1].into()), 0).await.unwrap();
    let port = first.port().unwrap();
    let error = tcp(Bind::Localhost, port).await.unwrap_err();
    assert_eq!(error.to_string(), format!("could not listen on 127.0.0.1:{port}"));
    assert!(
        matches!(error, ListenError::Refused { source, .. } if source.kind() == std::io::ErrorKind::AddrInUse)
    );
}

#[tokio::test]
async fn an_address_of_another_machine_is_an_error() {
    let error = tcp(Bind::Address([192, 0, 2, 1].into()), 0).await.unwrap_err();
    assert_eq!(error.to_string(), "could not listen on 192.0.2.1:0");
}

#[tokio::test]
async fn a_unix_socket_is_for_its_owner_and_goes_with_its_listener() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("db.sock");
    let listener = unix(&path).await.unwrap();
    assert_eq!(listener.path(), Some(path.as_path()));
    assert_eq!(path.symlink_metadata().unwrap().permissions().mode() & 0o777, 0o600);
    let mut client = UnixStream::connect(&path).await.unwrap();
    let (mut connection, peer) = listener.accept().await.unwrap();
    assert_eq!(peer, "unix");
    client.write_all(b"x").await.unwrap();
    assert_eq!(connection.split().0.read_u8().await.unwrap(), b'x');
    drop(listener);
    assert!(path.symlink_metadata().is_err());
}

#[tokio::test]
async fn a_socket_that_nobody_listens_on_is_replaced() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("db.sock");
    // What a killed process leaves behind.
    drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
    assert!(path.symlink_metadata().is_ok());
    // A process that another test is starting may hold it for a moment longer.
    while std::os::unix::net::UnixStream::connect(&path).is_ok() {}
    let listener = unix(&path).await.unwrap();
    UnixStream::connect(&path).await.unwrap();
    listener.accept().await.unwrap();
}

#[tokio::test]
async fn what_is_somebody_elses_is_left_alone() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("db.sock");
    let theirs = unix(&path).await.unwrap();
    let error = unix(&path).await.unwrap_err();
    assert!(error.to_string().ends_with("another process does"), "{error}");
    UnixStream::connect(&path).await.unwrap();
    theirs.accept().await.unwrap();

    let file = directory.path().join("notes.txt");
    std::fs::write(&file, "mine").unwrap();
    let error = unix(&file).await.unwrap_err();
    assert!(error.to_string().ends_with("there is a file, and it is no socket"), "{error}");
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "mine");

    // Removed and made anew by another: not ours to remove.
    std::fs::remove_file(&path).unwrap();
    let _other = std::os::unix::net::UnixListener::bind(&path).unwrap();
    drop(theirs);
    assert!(path.symlink_metadata().is_ok());
}

#[tokio::test]
async fn a_socket_in_a_directory_that_is_missing_is_an_error() {
    let directory = tempfile::tempdir().unwrap();
    let error = unix(&directory.path().join("none/db.sock")).await.unwrap_err();
    assert!(error.to_string().contains("none/db.sock"), "{error}");
}
