//! CBOR (RFC 8949), as far as rpc-v2-cbor needs it, and with any input: nothing here panics or allocates by what a length claims.

#[cfg(test)]
use std::iter;

/// How deeply values may be nested.
const DEPTH: u32 = 64;

/// A data item.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Value {
    Unsigned(u64),
    /// The number -1 - n.
    Negative(u64),
    Bytes(Vec<u8>),
    Text(String),
    Array(Vec<Value>),
    Map(Vec<(Value, Value)>),
    Tag(u64, Box<Value>),
    Bool(bool),
    Null,
    Undefined,
    /// A simple value without a meaning.
    Simple(u8),
    Float(f64),
}

/// Why bytes are no data item.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum CborError {
    #[error("unexpected end of the CBOR data")]
    End,
    #[error("invalid CBOR data")]
    Invalid,
    #[error("CBOR data is nested too deeply")]
    Depth,
    #[error("CBOR data is followed by more")]
    Trailing,
}

impl Value {
    pub(crate) fn whole(number: i64) -> Value {
        if number < 0 {
            Value::Negative(number.unsigned_abs() - 1)
        } else {
            Value::Unsigned(number.unsigned_abs())
        }
    }

    /// The same in JSON: tags are dropped, and what JSON has no word for is null.
    pub(crate) fn json(&self) -> serde_json::Value {
        use serde_json::{Value as Json, json};
        match self {
            Value::Unsigned(number) => json!(number),
            Value::Negative(number) => match i64::try_from(*number) {
                Ok(number) => json!(-1 - number),
                Err(_) => json!(-1.0 - *number as f64),
            },
            Value::Bytes(bytes) => json!(String::from_utf8_lossy(bytes)),
            Value::Text(text) => json!(text),
            Value::Array(items) => items.iter().map(Value::json).collect(),
            Value::Map(members) => {
                let members = members.iter().filter_map(|(key, value)| match key {
                    Value::Text(key) => Some((key.clone(), value.json())),
                    _ => None,
                });
                Json::Object(members.collect())
            }
            Value::Tag(_, value) => value.json(),
            Value::Bool(flag) => json!(flag),
            Value::Float(number) => json!(number),
            Value::Null | Value::Undefined | Value::Simple(_) => Json::Null,
        }
    }
}

/// Writes a value, with definite lengths.
pub(crate) fn encode(value: &Value) -> Vec<u8> {
    let mut out = Vec::new();
    write(value, &mut out);
    out
}

fn head(major: u8, argument: u64, out: &mut Vec<u8>) {
    let major = major << 5;
    let bytes = argument.to_be_bytes();
    let (info, count) = match argument {
        0..24 => (argument as u8, 0),
        24..=0xFF => (24, 1),
        0x100..=0xFFFF => (25, 2),
        0x1_0000..=0xFFFF_FFFF => (26, 4),
        _ => (27, 8),
    };
    out.push(major | info);
    out.extend(bytes.iter().skip(8 - count));
}

fn write(value: &Value, out: &mut Vec<u8>) {
    match value {
        Value::Unsigned(number) => head(0, *number, out),
        Value::Negative(number) => head(1, *number, out),
        Value::Bytes(bytes) => {
            head(2, bytes.len() as u64, out);
            out.extend_from_slice(bytes);
        }
        Value::Text(text) => {
            head(3, text.len() as u64, out);
            out.extend_from_slice(text.as_bytes());
        }
        Value::Array(items) => {
            head(4, items.len() as u64, out);
            items.iter().for_each(|item| write(item, out));
        }
        Value::Map(members) => {
            head(5, members.len() as u64, out);
            for (key, value) in members {
                write(key, out);
                write(value, out);
            }
        }
        Value::Tag(tag, value) => {
            head(6, *tag, out);
            write(value, out);
        }
        Value::Bool(flag) => out.push(if *flag { 0xF5 } else { 0xF4 }),
        Value::Null => out.push(0xF6),
        Value::Undefined => out.push(0xF7),
        Value::Simple(number) => head(7, u64::from(*number), out),
        Value::Float(number) => {
            out.push(0xFB);
            out.extend_from_slice(&number.to_be_bytes());
        }
    }
}

/// Reads one value that is all there is.
pub(crate) fn decode(bytes: &[u8]) -> Result<Value, CborError> {
    let mut reader = Reader { rest: bytes };
    let value = reader.value(0)?;
    if reader.rest.is_empty() { Ok(value) } else { Err(CborError::Trailing) }
}

struct Reader<'a> {
    rest: &'a [u8],
}

/// The number behind a head: absent where the length is indefinite.
type Argument = Option<u64>;

impl<'a> Reader<'a> {
    fn take(&mut self, count: u64) -> Result<&'a [u8], CborError> {
        let count = usize::try_from(count).map_err(|_| CborError::End)?;
        let (taken, rest) = self.rest.split_at_checked(count).ok_or(CborError::End)?;
        self.rest = rest;
        Ok(taken)
    }

    fn number(&mut self, count: u64) -> Result<u64, CborError> {
        Ok(self.take(count)?.iter().fold(0, |number, byte| (number << 8) | u64::from(*byte)))
    }

    fn head(&mut self) -> Result<(u8, u8, Argument), CborError> {
        let first = self.number(1)? as u8;
        let (major, info) = (first >> 5, first & 0x1F);
        let argument = match info {
            0..24 => Some(u64::from(info)),
            24 => Some(self.number(1)?),
            25 => Some(self.number(2)?),
            26 => Some(self.number(4)?),
            27 => Some(self.number(8)?),
            31 => None,
            _ => return Err(CborError::Invalid),
        };
        Ok((major, info, argument))
    }

    fn value(&mut self, depth: u32) -> Result<Value, CborError> {
        if depth > DEPTH {
            return Err(CborError::Depth);
        }
        let (major, info, argument) = self.head()?;
        match (major, argument) {
            (0, Some(number)) => Ok(Value::Unsigned(number)),
            (1, Some(number)) => Ok(Value::Negative(number)),
            (2 | 3, _) => self.string(major, argument),
            (4, _) => {
                let mut items = Vec::new();
                while self.goes_on(argument, items.len())? {
                    items.push(self.value(depth + 1)?);
                }
                Ok(Value::Array(items))
            }
            (5, _) => {
                let mut members = Vec::new();
                while self.goes_on(argument, members.len())? {
                    members.push((self.value(depth + 1)?, self.value(depth + 1)?));
                }
                Ok(Value::Map(members))
            }
            (6, Some(tag)) => Ok(Value::Tag(tag, Box::new(self.value(depth + 1)?))),
            (7, Some(bits)) => simple(info, bits),
            _ => Err(CborError::Invalid),
        }
    }

    /// True where a list or map has one more; the end of an indefinite one is read.
    fn goes_on(&mut self, argument: Argument, have: usize) -> Result<bool, CborError> {
        match argument {
            Some(count) => Ok((have as u64) < count),
            None if self.rest.first() == Some(&0xFF) => {
                self.take(1)?;
                Ok(false)
            }
            None => Ok(true),
        }
    }

    fn string(&mut self, major: u8, argument: Argument) -> Result<Value, CborError> {
        let mut bytes = Vec::new();
        match argument {
            Some(length) => bytes.extend_from_slice(self.take(length)?),
            None => {
                while self.goes_on(None, 0)? {
                    let (part, _, Some(length)) = self.head()? else { return Err(CborError::Invalid) };
                    if part != major {
                        return Err(CborError::Invalid);
                    }
                    bytes.extend_from_slice(self.take(length)?);
                }
            }
        }
        if major == 2 {
            return Ok(Value::Bytes(bytes));
        }
        String::from_utf8(bytes).map(Value::Text).map_err(|_| CborError::Invalid)
    }
}

fn simple(info: u8, bits: u64) -> Result<Value, CborError> {
    Ok(match (info, bits) {
        (20, _) => Value::Bool(false),
        (21, _) => Value::Bool(true),
        (22, _) => Value::Null,
        (23, _) => Value::Undefined,
        (25, bits) => Value::Float(half(bits as u16)),
        (26, bits) => Value::Float(f64::from(f32::from_bits(bits as u32))),
        (27, bits) => Value::Float(f64::from_bits(bits)),
        (24, 0..32) => return Err(CborError::Invalid),
        (_, number) => Value::Simple(number as u8),
    })
}

/// An IEEE 754 half-precision number.
fn half(bits: u16) -> f64 {
    let sign = if bits >> 15 == 1 { -1.0 } else { 1.0 };
    let (exponent, fraction) = (i32::from(bits >> 10 & 0x1F), f64::from(bits & 0x3FF));
    match exponent {
        0 => sign * fraction * 2_f64.powi(-24),
        31 if fraction == 0.0 => sign * f64::INFINITY,
        31 => f64::NAN,
        exponent => sign * (1024.0 + fraction) * 2_f64.powi(exponent - 25),
    }
}

/// Writes a map with indefinite lengths throughout, as some clients do.
#[cfg(test)]
fn encode_indefinite(value: &Value) -> Vec<u8> {
    let parts = |start: u8, inner: Vec<u8>| iter::once(start).chain(inner).chain([0xFF]).collect();
    match value {
        Value::Array(items) => parts(0x9F, items.iter().flat_map(encode_indefinite).collect()),
        Value::Map(members) => {
            let members =
                members.iter().flat_map(|(key, value)| [encode_indefinite(key), encode_indefinite(value)]);
            parts(0xBF, members.flatten().collect())
        }
        Value::Text(text) => {
            parts(0x7F, text.chars().flat_map(|letter| encode(&Value::Text(letter.into()))).collect())
        }
        Value::Bytes(bytes) => {
            parts(0x5F, bytes.chunks(3).flat_map(|chunk| encode(&Value::Bytes(chunk.to_vec()))).collect())
        }
        Value::Tag(tag, value) => {
            let mut out = Vec::new();
            head(6, *tag, &mut out);
            out.extend(encode_indefinite(value));
            out
        }
        other => encode(other),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn values() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            any::<u64>().prop_map(Value::Unsigned),
            any::<u64>().prop_map(Value::Negative),
            any::<i64>().prop_map(Value::whole),
            proptest::collection::vec(any::<u8>(), 0..40).prop_map(Value::Bytes),
            ".{0,30}".prop_map(Value::Text),
            any::<bool>().prop_map(Value::Bool),
            any::<f64>()
                .prop_filter("NaN is not equal to itself", |number| !number.is_nan())
                .prop_map(Value::Float),
            Just(Value::Null),
            Just(Value::Undefined),
            (32_u8..).prop_map(Value::Simple),
        ];
        leaf.prop_recursive(5, 60, 6, |inner| {
            prop_oneof![
                proptest::collection::vec(inner.clone(), 0..6).prop_map(Value::Array),
                proptest::collection::vec((inner.clone(), inner.clone()), 0..6).prop_map(Value::Map),
                (any::<u64>(), inner).prop_map(|(tag, value)| Value::Tag(tag, Box::new(value))),
            ]
        })
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(value in values()) {
            prop_assert_eq!(decode(&encode(&value)), Ok(value.clone()));
            prop_assert_eq!(decode(&encode_indefinite(&value)), Ok(value));
        }

        #[test]
        fn nothing_panics(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            if let Ok(value) = decode(&bytes) {
                let _ = (value.json(), encode(&value));
            }
        }

        #[test]
        fn what_is_cut_off_is_refused(value in values(), cut in 0.0_f64..1.0) {
            let bytes = encode(&value);
            let cut = (bytes.len() as f64 * cut) as usize;
            prop_assert!(decode(&bytes[..cut]).is_err());
        }
    }

    #[test]
    fn the_standards_examples() {
        for (bytes, value) in [
            (&[0x18, 0x64][..], Value::Unsigned(100)),
            (&[0x3B, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF], Value::Negative(u64::MAX)),
            (&[0xF9, 0x3E, 0x00], Value::Float(1.5)),
            (&[0xF9, 0xC4, 0x00], Value::Float(-4.0)),
            (&[0xF9, 0x00, 0x01], Value::Float(5.960_464_477_539_063e-8)),
            (&[0xF9, 0x7C, 0x00], Value::Float(f64::INFINITY)),
            (&[0xFA, 0x47, 0xC3, 0x50, 0x00], Value::Float(100_000.0)),
            (
                &[0x7F, 0x65, b's', b't', b'r', b'e', b'a', 0x64, b'm', b'i', b'n', b'g', 0xFF],
                Value::Text("streaming".into()),
            ),
            (&[0xBF, 0xFF], Value::Map(vec![])),
            (&[0xC1, 0x1A, 0x51, 0x4B, 0x67, 0xB0], Value::Tag(1, Box::new(Value::Unsigned(1_363_896_240)))),
            (&[0xF8, 0xFF], Value::Simple(255)),
        ] {
            assert_eq!(decode(bytes), Ok(value), "{bytes:x?}");
        }
    }

    #[test]
    fn bad_input_is_an_error() {
        assert_eq!(decode(&[0x9B, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF]), Err(CborError::End));
        assert_eq!(decode(&[0x7B, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF]), Err(CborError::End));
        assert_eq!(decode(&[0x81; 1000]), Err(CborError::Depth));
        assert_eq!(decode(&[0x00, 0x00]), Err(CborError::Trailing));
        assert_eq!(decode(&[0x61, 0xFF]), Err(CborError::Invalid));
        assert_eq!(decode(&[0x7F, 0x41, 0x00, 0xFF]), Err(CborError::Invalid));
        assert_eq!(decode(&[0xFF]), Err(CborError::Invalid));
        assert_eq!(decode(&[0x1C]), Err(CborError::Invalid));
        assert_eq!(decode(&[]), Err(CborError::End));
    }
}
