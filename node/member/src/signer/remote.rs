//! A signer over HTTP, by the API of Web3Signer for Ethereum's keys.
//!
//! Two of its requests are used. `GET /api/v1/eth1/publicKeys` lists the keys that it has: among them must be that of the member's
//! account. `POST /api/v1/eth1/sign/{public key}` signs the keccak-256 of the data that it is given, which is how Ethereum signs
//! transactions and typed data alike. The requests of its JSON-RPC are not used: `eth_sign` puts a prefix before the data, which no
//! contract of a ring expects.
//!
//! An answer is believed only if the account's key fits the signature. Each request has a bound of time and of size, and whoever asks
//! keeps what was to be signed, so a signer that is away or wrong only holds the member up.

use super::super::config::{SignerConfig, TlsFiles};
use crate::{
    bounded_body::{bounded_body, BodyError},
    keystore::{self, KeystoreError},
};
use reqwest::{redirect, Certificate, Client, Identity, RequestBuilder, Response};
use rings_api::{shown_url, with_causes};
use rings_protocol::{
    cids::keccak256,
    crypto::{CryptoError, PublicKey, Signature, Signer},
    Address,
};
use serde_json::json;
use std::{
    fmt, fs, io,
    path::PathBuf,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tokio::{runtime::Handle, task::block_in_place};

/// How long connecting may take, and a whole request.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
const TIMEOUT: Duration = Duration::from_secs(5);
/// Most bytes of a list of keys: each takes 133, so some thousands.
const MAX_KEYS_BYTES: usize = 1 << 20;
/// Most bytes of a signature in hex, and of what an error says.
const MAX_ANSWER_BYTES: usize = 4096;
/// Most characters of a signer's own words that are shown.
const SHOWN: usize = 200;

/// Why a signer cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum SignerError {
    /// A file of `[signer]`.
    #[error("[signer] {key} {} cannot be read", path.display())]
    File {
        /// The key of the configuration.
        key: &'static str,
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The private key of this member's certificate.
    #[error(transparent)]
    Secret(#[from] KeystoreError),
    /// The certificates.
    #[error("the certificates of [signer] cannot be used; give PEM files, with the key without a password")]
    Tls(#[source] reqwest::Error),
    /// It cannot be reached, or does not speak the API.
    #[error("the signer at {url} gives no answer; check that it runs, and [signer] url")]
    Away {
        /// Scheme and host.
        url: String,
        /// Why.
        #[source]
        source: Fault,
    },
    /// It does not have the key.
    #[error("the signer at {url} has {}, and not that of {address}; load it there, or correct [signer] address", keys(*.held))]
    NoKey {
        /// Scheme and host.
        url: String,
        /// The account.
        address: Address,
        /// How many keys it has.
        held: usize,
    },
}

impl SignerError {
    /// Whether waiting may help.
    pub fn is_transient(&self) -> bool {
        matches!(self, Self::Away { .. })
    }
}

/// What went wrong with one request.
#[derive(Debug, thiserror::Error)]
pub enum Fault {
    /// The exchange itself. The URL is taken out of it, since it may hold a password.
    #[error("the request failed")]
    Http(#[source] reqwest::Error),
    /// It refused.
    #[error("it answered {status}: {said}")]
    Refused {
        /// The HTTP status.
        status: u16,
        /// What it said.
        said: String,
    },
    /// Something else than the API says.
    #[error("its answer is {what}; is this the API of Web3Signer for Ethereum's keys (eth1)?")]
    Malformed {
        /// What is wrong with it.
        what: &'static str,
    },
    /// A signature of somebody else.
    #[error("it signed something else, or with another key than that of {address}")]
    Other {
        /// The account.
        address: Address,
    },
}

fn keys(count: usize) -> String {
    match count {
        0 => "no keys".into(),
        1 => "one key".into(),
        count => format!("{count} keys"),
    }
}

/// A service that has the member's key.
pub struct RemoteSigner {
    service: Service,
    key: PublicKey,
    runtime: Handle,
    /// Why the last request gave no signature.
    trouble: Mutex<Option<String>>,
}

/// How the service is reached.
#[derive(Clone)]
struct Service {
    http: Client,
    url: String,
}

impl RemoteSigner {
    /// Asks the service for its keys, and finds that of the configured account.
    ///
    /// # Errors
    /// [`SignerError`].
    pub async fn connect(config: &SignerConfig) -> Result<Self, SignerError> {
        let service = Service {
            http: client(config)?,
            url: config.url.trim_end_matches('/').to_owned(),
        };
        let url = shown_url(&config.url);
        let held = service.keys().await;
        let held = held.map_err(|source| SignerError::Away {
            url: url.clone(),
            source,
        })?;
        let mut own = held.iter().filter(|key| key.address() == config.address);
        let key = *own.next().ok_or(SignerError::NoKey {
            url,
            address: config.address,
            held: held.len(),
        })?;
        Ok(Self {
            service,
            key,
            runtime: Handle::current(),
            trouble: Mutex::default(),
        })
    }

    /// Why the last request gave no signature, in words.
    pub fn trouble(&self) -> Option<String> {
        self.lock().clone()
    }

    fn lock(&self) -> MutexGuard<'_, Option<String>> {
        self.trouble.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn ask(&self, bytes: &[u8]) -> Result<Signature, Fault> {
        let signature = self.service.sign(&self.key, bytes).await?;
        match signature.recover(&keccak256(bytes)) {
            Ok(key) if key == self.key => Ok(signature),
            _ => Err(Fault::Other {
                address: self.key.address(),
            }),
        }
    }

    /// Remembers how the last request ended, and says when that changes.
    fn note(&self, reason: Option<&str>) {
        let url = shown_url(&self.service.url);
        let mut trouble = self.lock();
        match (trouble.is_some(), reason) {
            (false, Some(reason)) => tracing::warn!(
                url,
                reason,
                "the signer gives no signatures: votes and transactions wait for it"
            ),
            (true, None) => tracing::info!(url, "the signer gives signatures again"),
            _ => {}
        }
        *trouble = reason.map(|reason| {
            format!("the signer at {url} gives no signatures ({reason}): votes and transactions wait for it")
        });
    }
}

impl Signer for RemoteSigner {
    fn public_key(&self) -> PublicKey {
        self.key
    }

    fn sign_hashed(&self, bytes: &[u8]) -> Result<Signature, CryptoError> {
        let asked = block_in_place(|| self.runtime.block_on(self.ask(bytes)));
        let asked = asked.map_err(|fault| with_causes(&fault));
        self.note(asked.as_ref().err().map(String::as_str));
        asked.map_err(|reason| CryptoError::SignerAway { reason })
    }
}

impl fmt::Debug for RemoteSigner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (key, url) = (self.key.address(), shown_url(&self.service.url));
        write!(f, "RemoteSigner(of {key} at {url})")
    }
}

impl Service {
    async fn keys(&self) -> Result<Vec<PublicKey>, Fault> {
        let url = format!("{}/api/v1/eth1/publicKeys", self.url);
        let text = answer(self.http.get(url), MAX_KEYS_BYTES).await?;
        let texts: Vec<String> = serde_json::from_str(&text).map_err(|_| Fault::Malformed {
            what: "no list of public keys",
        })?;
        let keys = texts.iter().map(|text| public_key(text));
        keys.collect::<Option<_>>().ok_or(Fault::Malformed {
            what: "a list with something that is no public key",
        })
    }

    async fn sign(&self, key: &PublicKey, bytes: &[u8]) -> Result<Signature, Fault> {
        let name = hex::encode(key.0);
        let url = format!("{}/api/v1/eth1/sign/0x{name}", self.url);
        let data = format!("0x{}", hex::encode(bytes));
        let request = self.http.post(url).json(&json!({ "data": data }));
        let text = answer(request, MAX_ANSWER_BYTES).await?;
        let hex = text.trim().trim_matches('"').trim_start_matches("0x");
        let signature = hex::decode(hex).ok();
        let signature = signature.and_then(|bytes| Signature::from_any_half(&bytes).ok());
        signature.ok_or(Fault::Malformed {
            what: "no signature",
        })
    }
}

/// A public key in hex: 64 bytes, perhaps with the 04 of an uncompressed point before them.
fn public_key(text: &str) -> Option<PublicKey> {
    let bytes = hex::decode(text.trim_start_matches("0x")).ok()?;
    let point = match bytes.len() {
        65 => bytes.strip_prefix(&[4])?,
        _ => &bytes,
    };
    PublicKey::from_slice(point).ok()
}

/// The text of an answer, which may not be longer than `limit`.
async fn answer(request: RequestBuilder, limit: usize) -> Result<String, Fault> {
    let failed = |error: reqwest::Error| Fault::Http(error.without_url());
    let answer = request.send().await.map_err(failed)?;
    let status = answer.status();
    if status.is_success() {
        return body(answer, limit).await;
    }
    let said = body(answer, MAX_ANSWER_BYTES).await.unwrap_or_default();
    let said = said.split_whitespace().collect::<Vec<_>>().join(" ");
    Err(Fault::Refused {
        status: status.as_u16(),
        said: said
            .chars()
            .filter(|c| !c.is_control())
            .take(SHOWN)
            .collect(),
    })
}

async fn body(answer: Response, limit: usize) -> Result<String, Fault> {
    let bytes = bounded_body(answer, limit).await;
    let bytes = bytes.map_err(|error| match error {
        BodyError::Ended(error) => Fault::Http(error.without_url()),
        BodyError::TooLong => Fault::Malformed { what: "too long" },
    })?;
    String::from_utf8(bytes).map_err(|_| Fault::Malformed { what: "not text" })
}

/// The HTTP client: no redirects, since a signer does not move by itself.
fn client(config: &SignerConfig) -> Result<Client, SignerError> {
    let mut builder = Client::builder()
        .connect_timeout(CONNECT_TIMEOUT)
        .timeout(TIMEOUT)
        .redirect(redirect::Policy::none())
        .no_proxy();
    if let Some(path) = &config.authority {
        let pem = read("authority", path)?;
        let authorities = Certificate::from_pem_bundle(&pem).map_err(SignerError::Tls)?;
        builder = builder.tls_built_in_root_certs(false);
        for authority in authorities {
            builder = builder.add_root_certificate(authority);
        }
    }
    if let Some(files) = &config.identity {
        builder = builder.identity(identity(files)?);
    }
    builder.build().map_err(SignerError::Tls)
}

fn identity(files: &TlsFiles) -> Result<Identity, SignerError> {
    let mut pem = read("certificate", &files.certificate)?;
    pem.push(b'\n');
    let key = keystore::read_secret(&files.private_key)?;
    pem.extend_from_slice(key.as_bytes());
    Identity::from_pem(&pem).map_err(SignerError::Tls)
}

fn read(key: &'static str, path: &PathBuf) -> Result<Vec<u8>, SignerError> {
    fs::read(path).map_err(|source| SignerError::File {
        key,
        path: path.clone(),
        source,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use rings_protocol::crypto::SecretKey;
    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt},
        net::TcpListener,
    };

    fn key(n: u8) -> SecretKey {
        SecretKey::from_bytes(&[n; 32]).unwrap()
    }

    fn name(n: u8) -> String {
        format!("0x{}", hex::encode(key(n).public_key().0))
    }

    fn config(url: String) -> SignerConfig {
        SignerConfig {
            url,
            address: key(1).address(),
            authority: None,
            identity: None,
        }
    }

    /// A service that gives these answers, one for each request, and then no more; its URL, with a password.
    async fn service(answers: Vec<(u16, String)>) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        tokio::spawn(async move {
            for (status, body) in answers {
                let (mut stream, _) = listener.accept().await.unwrap();
                let mut request = vec![0; 4096];
                let read = stream.read(&mut request).await.unwrap();
                assert!(read > 0);
                let head = format!(
                    "HTTP/1.1 {status} x\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
                    body.len()
                );
                let answer = [head.as_bytes(), body.as_bytes()].concat();
                stream.write_all(&answer).await.unwrap();
                stream.shutdown().await.unwrap();
            }
        });
        format!("http://me:hidden@127.0.0.1:{port}/")
    }

    fn keys_of(numbers: &[u8]) -> (u16, String) {
        let names: Vec<_> = numbers.iter().map(|n| name(*n)).collect();
        (200, json!(names).to_string())
    }

    fn signature_of(n: u8, bytes: &[u8]) -> (u16, String) {
        let signature = key(n).sign_hashed(bytes).unwrap();
        (200, format!("0x{}", hex::encode(signature.to_bytes())))
    }

    async fn failed_start(answers: Vec<(u16, String)>) -> SignerError {
        let url = service(answers).await;
        RemoteSigner::connect(&config(url)).await.unwrap_err()
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn only_a_signature_of_the_account_over_these_bytes_is_believed() {
        let bytes = b"what is signed".as_slice();
        let answers = vec![
            keys_of(&[2, 1]),
            signature_of(1, bytes),
            signature_of(2, bytes),
            signature_of(1, b"something else"),
            (200, "0x00".into()),
            (404, "Public Key\nnot found".into()),
            (200, "x".repeat(MAX_ANSWER_BYTES + 1)),
            signature_of(1, bytes),
        ];
        let url = service(answers).await;
        let signer = RemoteSigner::connect(&config(url)).await.unwrap();
        assert_eq!(signer.address(), key(1).address());
        assert!(!format!("{signer:?}").contains("hidden"), "{signer:?}");
        let expected = key(1).sign_hashed(bytes).unwrap();
        assert_eq!(signer.sign_hashed(bytes).unwrap(), expected);
        assert_eq!(signer.trouble(), None);
        for reason in [
            "with another key",
            "signed something else",
            "no signature",
            "404: Public Key not found",
            "too long",
        ] {
            let error = signer.sign_hashed(bytes).unwrap_err();
            assert!(error.is_transient(), "{error}");
            assert!(error.to_string().contains(reason), "{error}");
            let trouble = signer.trouble().unwrap();
            assert!(
                trouble.contains(reason) && !trouble.contains("hidden"),
                "{trouble}"
            );
        }
        assert_eq!(signer.sign_hashed(bytes).unwrap(), expected);
        assert_eq!(signer.trouble(), None, "it is over");
        // Nobody listens any more.
        let error = signer.sign_hashed(bytes).unwrap_err();
        assert!(
            error.is_transient() && !error.to_string().contains("hidden"),
            "{error}"
        );
    }

    #[tokio::test]
    async fn a_signer_that_has_not_the_key_or_is_none_is_not_used() {
        let without = failed_start(vec![keys_of(&[2, 3])]).await;
        assert!(!without.is_transient());
        let expected = format!("has 2 keys, and not that of {}", key(1).address());
        assert!(without.to_string().contains(&expected), "{without}");
        for other in [
            (200, "{}".into()),
            (200, "[\"0x12\"]".into()),
            (503, String::new()),
        ] {
            let error = failed_start(vec![other]).await;
            assert!(error.is_transient(), "{error}");
            let said = with_causes(&error);
            assert!(
                said.contains("127.0.0.1") && !said.contains("hidden"),
                "{said}"
            );
        }
    }

    #[tokio::test]
    async fn keys_come_with_and_without_the_mark_of_an_uncompressed_point() {
        let marked = format!("0x04{}", &name(1)[2..]);
        let url = service(vec![(200, json!([marked]).to_string())]).await;
        let signer = RemoteSigner::connect(&config(url)).await.unwrap();
        assert_eq!(signer.public_key(), key(1).public_key());
    }

    #[test]
    fn files_that_are_missing_are_named() {
        let config = SignerConfig {
            authority: Some("/nowhere/ca.pem".into()),
            ..config("https://localhost:1".into())
        };
        let error = client(&config).unwrap_err();
        assert_eq!(
            error.to_string(),
            "[signer] authority /nowhere/ca.pem cannot be read"
        );
    }
}
