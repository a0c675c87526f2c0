//! An HTTP proxy that tunnels: `CONNECT`.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio_tungstenite::tungstenite::http::Uri;

use super::dial::DialError;

/// A proxy's answer is not longer than this.
const MAX_ANSWER: usize = 16 << 10;

/// A proxy.
#[derive(Clone, PartialEq, Eq)]
pub struct Proxy {
    /// Its host.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// Whether it is spoken to over TLS.
    pub is_tls: bool,
    /// The value of `Proxy-Authorization`.
    authorization: Option<String>,
}

impl fmt::Debug for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Without the password.
        write!(f, "Proxy({self})")
    }
}

impl fmt::Display for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}:{}", if self.is_tls { "https" } else { "http" }, self.host, self.port)
    }
}

/// A text that names no proxy.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "that is no HTTP proxy: it has to be http://HOST:PORT, with USER:PASSWORD@ before the host if it wants one"
)]
pub struct NotAProxy;

impl std::str::FromStr for Proxy {
    type Err = NotAProxy;

    /// Reads what stands in `HTTPS_PROXY`: a URL, or host and port. User and password are percent-decoded.
    fn from_str(text: &str) -> Result<Proxy, NotAProxy> {
        let text = text.trim();
        let url = if text.contains("://") { text.to_owned() } else { format!("http://{text}") };
        let uri: Uri = url.parse().map_err(|_| NotAProxy)?;
        let is_tls = match uri.scheme_str() {
            Some("http") => false,
            Some("https") => true,
            _ => return Err(NotAProxy),
        };
        let authority = uri.authority().filter(|authority| !authority.host().is_empty()).ok_or(NotAProxy)?;
        let login = authority.as_str().rsplit_once('@').map(|(login, _)| login);
        let authorization = login.map(|login| {
            let (user, password) = login.split_once(':').unwrap_or((login, ""));
            let plain = [&percent_decoded(user)[..], b":", &percent_decoded(password)].concat();
            format!("Basic {}", BASE64.encode(plain))
        });
        Ok(Proxy {
            host: authority.host().to_owned(),
            port: authority.port_u16().unwrap_or(if is_tls { 443 } else { 80 }),
            is_tls,
            authorization,
        })
    }
}

fn percent_decoded(text: &str) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&first, after)) = rest.split_first() {
        let hex = after.get(..2).filter(|_| first == b'%').and_then(|hex| std::str::from_utf8(hex).ok());
        match hex.and_then(|hex| u8::from_str_radix(hex, 16).ok()) {
            Some(byte) => {
                bytes.push(byte);
                rest = after.get(2..).unwrap_or_default();
            }
            None => {
                bytes.push(first);
                rest = after;
            }
        }
    }
    bytes
}

impl Proxy {
    /// Asks for a tunnel to `authority` (host and port); on return the stream is it.
    pub(super) async fn tunnel<S>(&self, stream: &mut S, authority: &str) -> Result<(), DialError>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let authorization = self.authorization.as_ref();
        let authorization =
            authorization.map_or(String::new(), |value| format!("Proxy-Authorization: {value}\r\n"));
        let request = format!("CONNECT {authority} HTTP/1.1\r\nHost: {authority}\r\n{authorization}\r\n");
        let lost = |source| DialError::Network { what: format!("the proxy {self}"), source };
        stream.write_all(request.as_bytes()).await.map_err(lost)?;
        stream.flush().await.map_err(lost)?;
        // Nobody speaks in the tunnel before we do, so nothing of it is read here.
        let mut answer = Vec::with_capacity(256);
        while !answer.ends_with(b"\r\n\r\n") {
            if answer.len() >= MAX_ANSWER {
                return Err(DialError::Proxy {
                    proxy: self.to_string(),
                    answer: "too long an answer".into(),
                });
            }
            answer.push(stream.read_u8().await.map_err(lost)?);
        }
        let line = String::from_utf8_lossy(&answer);
        let line = line.lines().next().unwrap_or_default().trim();
        let mut words = line.split_whitespace();
        let is_http = words.next().is_some_and(|version| version.starts_with("HTTP/1."));
        match words.next().and_then(|status| status.parse::<u16>().ok()).filter(|_| is_http) {
            Some(200..=299) => Ok(()),
            _ => Err(DialError::Proxy { proxy: self.to_string(), answer: line.chars().take(200).collect() }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn proxies_are_read() {
        let proxy: Proxy = "http://us%65r:p%40ss%3A@proxy.example:3128/".parse().unwrap();
        assert_eq!((proxy.host.as_str(), proxy.port, proxy.is_tls), ("proxy.example", 3128, false));
        assert_eq!(proxy.authorization.as_deref(), Some(&*format!("Basic {}", BASE64.encode("user:p@ss:"))));
        assert_eq!(format!("{proxy:?}"), "Proxy(http://proxy.example:3128)");
        let bare: Proxy = "10.0.0.1:8080".parse().unwrap();
        assert_eq!(bare.to_string(), "http://10.0.0.1:8080");
        assert_eq!(bare.authorization, None);
        assert_eq!("https://p.example".parse::<Proxy>().unwrap().to_string(), "https://p.example:443");
        for text in ["", "socks5://h:1", "http://", "http://user@", "a b"] {
            assert_eq!(text.parse::<Proxy>(), Err(NotAProxy), "{text}");
        }
        assert_eq!(percent_decoded("%zz%4"), b"%zz%4");
    }

    #[tokio::test]
    async fn a_proxy_is_asked_and_heard() {
        for (answer, is_good) in [
            ("HTTP/1.1 200 Connection established\r\nVia: x\r\n\r\n", true),
            ("HTTP/1.0 200\r\n\r\n", true),
            ("HTTP/1.1 407 Proxy Authentication Required\r\n\r\n", false),
            ("SSH-2.0-x\r\n\r\n", false),
            ("HTTP/1.1 200", false),
        ] {
            let (mut near, mut far) = tokio::io::duplex(1024);
            let proxy: Proxy = "http://u:p@h:1".parse().unwrap();
            let served = async {
                let mut request = [0; 1024];
                let length = far.read(&mut request).await.unwrap();
                far.write_all(answer.as_bytes()).await.unwrap();
                drop(far);
                String::from_utf8_lossy(&request[..length]).into_owned()
            };
            let (result, request) = tokio::join!(proxy.tunnel(&mut near, "host.example:443"), served);
            assert_eq!(result.is_ok(), is_good, "{answer}: {result:?}");
            assert_eq!(
                request,
                "CONNECT host.example:443 HTTP/1.1\r\nHost: host.example:443\r\nProxy-Authorization: Basic dTpw\r\n\r\n"
            );
        }
    }

    #[tokio::test]
    async fn an_endless_answer_is_an_error() {
        let (mut near, mut far) = tokio::io::duplex(1024);
        let proxy: Proxy = "http://h:1".parse().unwrap();
        let flood = async { while far.write_all(&[b'x'; 512]).await.is_ok() {} };
        let asked = async {
            let result = proxy.tunnel(&mut near, "host:443").await;
            drop(near);
            result
        };
        let (result, ()) = tokio::join!(asked, flood);
        assert!(matches!(result, Err(DialError::Proxy { .. })));
    }
}
