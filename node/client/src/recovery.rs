//! The recovery line: all that is needed to find a ring and to read it, as one line of text.
//!
//! The key stands near its end, which is what a careless copy loses. Without it, what somebody writes would not be sealed, and an
//! earlier key than the last one would seal what those who have left can read. So the line ends with a sum of all before
//! it, and a line without it, or with another, is refused.

use rings_protocol::{cids::keccak256, eip712::Domain, private::ReadKey, Address};
use std::{fmt, str::FromStr};

const SCHEME: &str = "rings:1?";
/// Before the sum: the first bytes of the keccak-256 of all that stands before this, as hexadecimal digits.
const SUM: &str = "&sum=";
/// Bytes of the sum.
const SUM_BYTES: usize = 4;
/// Behind a key that only opens.
const OLD: &str = ".old";
/// Most URLs of replicas.
const MAX_REPLICAS: usize = 256;
/// Most read keys: one more each time somebody leaves.
const MAX_KEYS: usize = 256;
/// Most bytes of a line.
const MAX_LINE: usize = 64 << 10;

/// Where a client ring is, who keeps it, and what opens it. Whoever has it can read the ring, so it does not print its key;
/// [`RecoveryLine::to_line`] does.
#[derive(Clone)]
pub struct RecoveryLine {
    /// The client ring.
    pub domain: Domain,
    /// An endpoint of the chain.
    pub rpc: String,
    /// The ring that keeps the logs.
    pub keeper: Address,
    /// URLs of its members.
    pub replicas: Vec<String>,
    /// The read keys, oldest first: the last one seals, all of them open. None for a ring that everybody can read.
    pub keys: Vec<LineKey>,
}

/// A read key in a recovery line.
#[derive(Clone)]
pub struct LineKey {
    /// The epoch for which it was made: 0 for the one with which the ring began. Nothing for a key that only opens what it has
    /// sealed.
    pub epoch: Option<u64>,
    /// The key.
    pub key: ReadKey,
}

impl fmt::Debug for LineKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "LineKey({:?}, {})", self.epoch, self.key.name())
    }
}

/// Why a text is no recovery line.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RecoveryError {
    /// It does not begin as one.
    #[error("this is not a recovery line, which begins with {SCHEME}; it is printed when a ring is made")]
    Scheme,
    /// Its end is not there.
    #[error(
        "the recovery line ends early; copy the whole line, which ends with `sum=` and 8 digits"
    )]
    Cut,
    /// Its sum is another.
    #[error("the recovery line is not as it was made; copy the whole line again")]
    Sum,
    /// A part of it is missing, malformed, twice there or unknown.
    #[error("{name} in the recovery line is missing, malformed or unknown; copy the whole line")]
    Part {
        /// The part's name.
        name: String,
    },
}

impl fmt::Debug for RecoveryLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RecoveryLine")
            .field("domain", &self.domain)
            .field("keeper", &self.keeper)
            .field("replicas", &self.replicas)
            .finish_non_exhaustive()
    }
}

impl RecoveryLine {
    /// The line itself, with its secret.
    pub fn to_line(&self) -> String {
        let mut line = format!(
            "{SCHEME}chain={}&rpc={}&ring={}&keeper={}",
            self.domain.chain_id,
            escaped(&self.rpc),
            self.domain.ring,
            self.keeper
        );
        for replica in &self.replicas {
            line.push_str("&replica=");
            line.push_str(&escaped(replica));
        }
        for LineKey { epoch, key } in &self.keys {
            line.push_str("&key=");
            line.push_str(&hex::encode(*key.to_bytes()));
            match epoch {
                Some(0) => {}
                Some(epoch) => line.push_str(&format!(".{epoch}")),
                None => line.push_str(OLD),
            }
        }
        let sum = sum(&line);
        line + SUM + &sum
    }
}

/// What stands behind [`SUM`] in a line that begins so.
fn sum(line: &str) -> String {
    hex::encode(&keccak256(line.as_bytes()).0[..SUM_BYTES])
}

/// The line without its sum, if that is right.
fn summed(text: &str) -> Result<&str, RecoveryError> {
    let (line, found) = text.rsplit_once(SUM).ok_or(RecoveryError::Cut)?;
    match found {
        found if found == sum(line) => Ok(line),
        found if found.len() < 2 * SUM_BYTES => Err(RecoveryError::Cut),
        _ => Err(RecoveryError::Sum),
    }
}

impl FromStr for RecoveryLine {
    type Err = RecoveryError;

    fn from_str(text: &str) -> Result<Self, RecoveryError> {
        let text = text.trim();
        if !text.starts_with(SCHEME) || text.len() > MAX_LINE {
            return Err(RecoveryError::Scheme);
        }
        let parts = &summed(text)?[SCHEME.len()..];
        let (mut chain, mut rpc, mut ring, mut keeper) = (None, None, None, None);
        let (mut replicas, mut keys) = (Vec::new(), Vec::new());
        for part in parts.split('&') {
            let wrong = || RecoveryError::Part {
                name: part.split('=').next().unwrap_or_default().to_owned(),
            };
            let (name, value) = part.split_once('=').ok_or_else(wrong)?;
            let value = unescaped(value).ok_or_else(wrong)?;
            let place = match name {
                "chain" => &mut chain,
                "rpc" => &mut rpc,
                "ring" => &mut ring,
                "keeper" => &mut keeper,
                "key" if keys.len() < MAX_KEYS => {
                    keys.push(value);
                    continue;
                }
                "replica" if replicas.len() < MAX_REPLICAS => {
                    replicas.push(value);
                    continue;
                }
                _ => return Err(wrong()),
            };
            if place.replace(value).is_some() {
                return Err(wrong());
            }
        }
        let domain = Domain::new(read("chain", chain)?, read("ring", ring)?);
        Ok(Self {
            domain,
            rpc: read("rpc", rpc)?,
            keeper: read("keeper", keeper)?,
            replicas,
            keys: keys
                .iter()
                .map(|key| read_key(key, &domain))
                .collect::<Result<_, _>>()?,
        })
    }
}

fn read<T: FromStr>(name: &str, value: Option<String>) -> Result<T, RecoveryError> {
    let read = value.and_then(|value| value.parse().ok());
    read.ok_or_else(|| RecoveryError::Part { name: name.into() })
}

fn read_key(text: &str, domain: &Domain) -> Result<LineKey, RecoveryError> {
    let wrong = || RecoveryError::Part { name: "key".into() };
    let (digits, epoch) = match (text.strip_suffix(OLD), text.split_once('.')) {
        (Some(digits), _) => (digits, None),
        (None, Some((digits, epoch))) => (digits, Some(epoch.parse::<u64>().map_err(|_| wrong())?)),
        (None, None) => (text, Some(0)),
    };
    let mut bytes = [0; 32];
    hex::decode_to_slice(digits, &mut bytes).map_err(|_| wrong())?;
    Ok(LineKey {
        epoch,
        key: ReadKey::from_bytes(bytes, domain),
    })
}

/// Percent-encoded: all but letters, digits and `-._~`.
fn escaped(text: &str) -> String {
    let escape = |byte: u8| match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
            char::from(byte).to_string()
        }
        _ => format!("%{byte:02X}"),
    };
    text.bytes().map(escape).collect()
}

fn unescaped(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, behind)) = rest.split_first() {
        rest = behind;
        if *first != b'%' {
            bytes.push(*first);
            continue;
        }
        let mut byte = [0];
        hex::decode_to_slice(rest.get(..2)?, &mut byte).ok()?;
        bytes.extend(byte);
        rest = &rest[2..];
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line_key(epoch: Option<u64>, byte: u8, domain: &Domain) -> LineKey {
        LineKey {
            epoch,
            key: ReadKey::from_bytes([byte; 32], domain),
        }
    }

    fn line() -> RecoveryLine {
        let domain = Domain::new(31337, Address([7; 20]));
        RecoveryLine {
            domain,
            rpc: "http://127.0.0.1:8545/a?b=c&d=%20".into(),
            keeper: Address([8; 20]),
            replicas: vec!["http://127.0.0.1:7545".into(), "https://ü.example".into()],
            keys: vec![line_key(Some(0), 9, &domain)],
        }
    }

    #[test]
    fn a_line_is_read_back() {
        let rotated = [(None, 7), (Some(0), 9), (Some(5), 8)]
            .map(|(epoch, byte)| line_key(epoch, byte, &line().domain));
        for keys in [line().keys, vec![], rotated.to_vec()] {
            let line = RecoveryLine { keys, ..line() };
            let text = line.to_line();
            assert!(text.starts_with("rings:1?chain=31337&rpc=http%3A%2F%2F127.0.0.1%3A8545%2F"));
            let read: RecoveryLine = format!(" {text}\n").parse().unwrap();
            assert_eq!(read.to_line(), text);
            assert_eq!(read.replicas, line.replicas);
            assert_eq!(read.rpc, line.rpc);
        }
    }

    #[test]
    fn no_part_of_a_line_is_a_line() {
        let text = line().to_line();
        for end in SCHEME.len()..text.len() {
            let cut = text[..end].parse::<RecoveryLine>();
            assert_eq!(cut.unwrap_err(), RecoveryError::Cut, "{end}");
        }
        let other = text.replace("chain=31337", "chain=31338");
        assert_eq!(
            other.parse::<RecoveryLine>().unwrap_err(),
            RecoveryError::Sum
        );
    }

    #[test]
    fn what_is_missing_or_strange_is_named() {
        let text = summed(&line().to_line()).unwrap().to_owned();
        let wrong = |text: &str| {
            let line = format!("{text}{SUM}{}", sum(text));
            line.parse::<RecoveryLine>().unwrap_err().to_string()
        };
        assert!(wrong("http://x").contains("rings:1?"));
        assert!(wrong(&text.replace("&keeper=", "&keeper=0")).contains("keeper"));
        assert!(wrong(&text.replace("&ring=", "&wring=")).contains("wring"));
        assert!(wrong(&format!("{text}&chain=1")).contains("chain"));
        assert!(wrong(&format!("{text}00")).contains("key"));
        assert!(wrong(&format!("{text}.x")).contains("key"));
        assert!(wrong("rings:1?chain=1").contains("ring"));
        assert!(wrong("rings:1?chain=%zz").contains("chain"));
    }

    #[test]
    fn it_does_not_print_its_key() {
        let shown = format!("{:?}", line());
        assert!(
            !shown.contains(&"09".repeat(16)) && !shown.contains("9, 9, 9"),
            "{shown}"
        );
    }
}
