//! TLS of the HTTP side: the certificate that a member shows, and the key to it.
//!
//! [`Tls::new`] takes both as PEM, checks that they fit, and makes what the server needs to answer a handshake. TLS 1.2 and
//! 1.3 are spoken (RFC 5246, RFC 8446), with HTTP/1.1 inside. The server runs the handshake above the guarded socket, so that
//! a client that begins one and says nothing more is closed like any other idle client. Clients show no certificate: who may
//! do what is decided by the token, as without TLS.

use std::{fmt, sync::Arc};
use tokio_rustls::{
    rustls::{
        self,
        crypto::ring,
        pki_types::{pem, pem::PemObject, CertificateDer, PrivateKeyDer},
        ServerConfig,
    },
    TlsAcceptor,
};

/// What is spoken inside, as ALPN names it (RFC 7301).
const HTTP_1_1: &[u8] = b"http/1.1";

/// A certificate and its key.
#[derive(Clone)]
pub struct Tls(TlsAcceptor);

/// Why a certificate and a key cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// The certificate is not PEM.
    #[error("the certificate cannot be read; it must be PEM: the own certificate first, then those that vouch for it")]
    Certificate(#[source] pem::Error),
    /// There is no certificate in the text.
    #[error("there is no certificate in the file; it must be PEM: the own certificate first, then those that vouch for it")]
    NoCertificate,
    /// The key is not PEM, or of no known form.
    #[error("the private key cannot be read; it must be PEM, in PKCS #8, PKCS #1 or SEC 1 form, without a password")]
    Key(#[source] pem::Error),
    /// The key does not belong to the certificate, or is of a kind that TLS does not have.
    #[error("the certificate and the private key do not fit; take the key with which the certificate was requested")]
    Unfit(#[source] rustls::Error),
}

impl Tls {
    /// Takes a chain of certificates (the own one first) and the key, both as PEM.
    ///
    /// # Errors
    /// [`TlsError`] when one of them cannot be read, or they do not fit.
    pub fn new(certificates: &[u8], key: &[u8]) -> Result<Self, TlsError> {
        let chain = CertificateDer::pem_slice_iter(certificates).collect::<Result<Vec<_>, _>>();
        let chain = chain.map_err(TlsError::Certificate)?;
        if chain.is_empty() {
            return Err(TlsError::NoCertificate);
        }
        let key = PrivateKeyDer::from_pem_slice(key).map_err(TlsError::Key)?;
        let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(TlsError::Unfit)?
            .with_no_client_auth()
            .with_single_cert(chain, key)
            .map_err(TlsError::Unfit)?;
        config.alpn_protocols = vec![HTTP_1_1.to_vec()];
        Ok(Self(TlsAcceptor::from(Arc::new(config))))
    }

    /// What answers handshakes.
    pub(super) fn acceptor(&self) -> &TlsAcceptor {
        &self.0
    }
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The key is inside.
        f.write_str("Tls(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_fit_is_refused_with_what_to_do() {
        let names = vec!["localhost".to_owned()];
        let one = rcgen::generate_simple_self_signed(names.clone()).unwrap();
        let other = rcgen::generate_simple_self_signed(names).unwrap();
        let (certificate, key) = (one.cert.pem(), one.key_pair.serialize_pem());
        let strange = other.key_pair.serialize_pem();
        Tls::new(certificate.as_bytes(), key.as_bytes()).unwrap();
        let refused = |certificate: &str, key: &str| {
            let tls = Tls::new(certificate.as_bytes(), key.as_bytes());
            tls.unwrap_err().to_string()
        };
        assert!(refused(&certificate, &strange).contains("do not fit"));
        assert!(refused("", &key).contains("no certificate"));
        assert!(refused(&key, &key).contains("no certificate"));
        assert!(refused(&certificate, &certificate).contains("private key cannot be read"));
        let broken = certificate.replace("-----END", "-----EDN");
        assert!(refused(&broken, &key).contains("certificate cannot be read"));
    }
}
