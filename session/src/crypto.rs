//! Encryption of a session with a key of KMS: AES-256-GCM, one key for each direction.
//!
//! On the wire a sealed payload is a nonce of 12 bytes, the text, and a tag of 16 bytes; there is no associated data.
//! Sealed are the bytes of the program, either way, and its exit code; not the handshake, not sizes, not flags. Sessions to
//! ports are never encrypted: agents switch it off.

use std::fmt;

use aes_gcm::aead::AeadInOut;
use aes_gcm::{Aes256Gcm, KeyInit, Nonce, Tag};
use bytes::{Bytes, BytesMut};
use zeroize::Zeroizing;

use crate::channel::Role;

/// Bytes of the data key that is asked of KMS.
pub const DATA_KEY_BYTES: usize = 64;

/// Bytes that a nonce has.
pub const NONCE_BYTES: usize = 12;

const TAG_BYTES: usize = 16;

/// A sealed payload can't be opened: the key is another one, or the bytes were changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an encrypted message can't be decrypted")]
pub struct NotAuthentic;

/// The plaintext of a data key: 32 bytes for agent to client, then 32 for client to agent. Wiped when dropped.
#[derive(Clone)]
pub struct DataKey {
    to_client: Zeroizing<[u8; 32]>,
    to_agent: Zeroizing<[u8; 32]>,
}

impl DataKey {
    /// Takes the plaintext that KMS gave; `None` if it is not 64 bytes. What the caller holds is the caller's to wipe.
    #[must_use]
    pub fn new(plaintext: &[u8]) -> Option<DataKey> {
        let (to_client, to_agent) = plaintext.split_first_chunk()?;
        Some(DataKey {
            to_client: Zeroizing::new(*to_client),
            to_agent: Zeroizing::new(to_agent.try_into().ok()?),
        })
    }
}

impl fmt::Debug for DataKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("DataKey(..)")
    }
}

/// Both directions of one end.
#[derive(Debug)]
pub struct SessionKeys {
    /// For what this end sends.
    pub sealer: Sealer,
    /// For what this end receives.
    pub opener: Opener,
}

impl SessionKeys {
    /// Makes both from a data key. `nonce` is random, and never given twice with the same data key.
    #[must_use]
    pub fn new(key: &DataKey, role: Role, nonce: [u8; NONCE_BYTES]) -> SessionKeys {
        let (own, other) = match role {
            Role::Client => (&key.to_agent, &key.to_client),
            Role::Agent => (&key.to_client, &key.to_agent),
        };
        let cipher = |key: &Zeroizing<[u8; 32]>| Aes256Gcm::new((&**key).into());
        SessionKeys {
            sealer: Sealer { cipher: cipher(own), nonce },
            opener: Opener { cipher: cipher(other) },
        }
    }
}

/// Encrypts what one end sends. Nonces are counted up from a random start, as the agent's are.
pub struct Sealer {
    cipher: Aes256Gcm,
    nonce: [u8; NONCE_BYTES],
}

impl Sealer {
    /// Encrypts a payload.
    pub fn seal(&mut self, plain: &[u8]) -> Bytes {
        for byte in self.nonce.iter_mut().rev() {
            *byte = byte.wrapping_add(1);
            if *byte != 0 {
                break;
            }
        }
        let mut sealed = BytesMut::with_capacity(NONCE_BYTES + plain.len() + TAG_BYTES);
        sealed.extend_from_slice(&self.nonce);
        sealed.extend_from_slice(plain);
        let mut text = sealed.split_off(NONCE_BYTES);
        let nonce = Nonce::from(self.nonce);
        // It fails for texts of 64 GiB only; an unreadable message is then better than a readable one.
        match self.cipher.encrypt_inout_detached(&nonce, &[], text.as_mut().into()) {
            Ok(tag) => text.extend_from_slice(&tag),
            Err(_) => text.clear(),
        }
        sealed.unsplit(text);
        sealed.freeze()
    }
}

impl fmt::Debug for Sealer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Sealer(..)")
    }
}

/// Decrypts what one end receives.
pub struct Opener {
    cipher: Aes256Gcm,
}

impl Opener {
    /// Decrypts a payload.
    ///
    /// # Errors
    /// If it was not sealed with this key, or was changed since.
    pub fn open(&self, sealed: &[u8]) -> Result<Bytes, NotAuthentic> {
        let (nonce, rest) = sealed.split_first_chunk::<NONCE_BYTES>().ok_or(NotAuthentic)?;
        let (text, tag) = rest.split_last_chunk::<TAG_BYTES>().ok_or(NotAuthentic)?;
        let mut plain = BytesMut::from(text);
        self.cipher
            .decrypt_inout_detached(&Nonce::from(*nonce), &[], plain.as_mut().into(), &Tag::from(*tag))
            .map_err(|_| NotAuthentic)?;
        Ok(plain.freeze())
    }
}

impl fmt::Debug for Opener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Opener(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(role: Role, fill: u8) -> SessionKeys {
        let plaintext: Vec<u8> = (0..64).map(|n| n ^ fill).collect();
        SessionKeys::new(&DataKey::new(&plaintext).unwrap(), role, [0xff; NONCE_BYTES])
    }

    #[test]
    fn each_end_opens_what_the_other_sealed() {
        let (mut client, mut agent) = (keys(Role::Client, 0), keys(Role::Agent, 0));
        for text in [&b""[..], b"\n", &[7; 40_000]] {
            let sealed = client.sealer.seal(text);
            assert_eq!(sealed.len(), text.len() + 28);
            assert_eq!(agent.opener.open(&sealed).unwrap(), text);
            assert_eq!(client.opener.open(&agent.sealer.seal(text)).unwrap(), text);
            assert_eq!(client.opener.open(&sealed), Err(NotAuthentic), "each direction has its key");
        }
    }

    #[test]
    fn the_first_half_is_the_agents_key() {
        // Opened by another implementation.
        let mut agent = keys(Role::Agent, 0);
        agent.sealer.nonce = [0xff; NONCE_BYTES];
        let sealed = agent.sealer.seal(b"hello");
        assert_eq!(&sealed[..NONCE_BYTES], [0; NONCE_BYTES], "nonces count up and wrap");
        let key =
            ring::aead::UnboundKey::new(&ring::aead::AES_256_GCM, &(0..32).collect::<Vec<u8>>()).unwrap();
        let key = ring::aead::LessSafeKey::new(key);
        let mut other = sealed[NONCE_BYTES..].to_vec();
        let nonce = ring::aead::Nonce::assume_unique_for_key([0; NONCE_BYTES]);
        let plain = key.open_in_place(nonce, ring::aead::Aad::empty(), &mut other).unwrap();
        assert_eq!(plain, b"hello");
    }

    #[test]
    fn what_was_changed_is_not_opened() {
        let mut client = keys(Role::Client, 0);
        let agent = keys(Role::Agent, 0);
        let sealed = client.sealer.seal(b"hello");
        for at in 0..sealed.len() {
            let mut changed = sealed.to_vec();
            changed[at] ^= 1;
            assert_eq!(agent.opener.open(&changed), Err(NotAuthentic), "{at}");
        }
        for length in 0..sealed.len() {
            assert_eq!(agent.opener.open(&sealed[..length]), Err(NotAuthentic), "{length}");
        }
        assert_eq!(keys(Role::Agent, 1).opener.open(&sealed), Err(NotAuthentic));
        assert!(DataKey::new(&[0; 63]).is_none());
        assert_eq!(format!("{client:?}"), "SessionKeys { sealer: Sealer(..), opener: Opener(..) }");
    }

    #[test]
    fn no_nonce_is_used_twice() {
        let mut client = keys(Role::Client, 0);
        let nonces: std::collections::HashSet<_> =
            (0..1000).map(|_| client.sealer.seal(b"")[..12].to_vec()).collect();
        assert_eq!(nonces.len(), 1000);
    }
}
