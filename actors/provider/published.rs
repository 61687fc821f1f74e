//! Keys that a provider publishes: where to fetch them, and how to check that they are its own. Nothing is fetched here.

use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, ServerName, TrustAnchor, UnixTime};
use webpki::{EndEntityCert, KeyUsage};
use x509_cert::Certificate;
use x509_cert::der::{Decode, EncodePem, pem::LineEnding};

use super::algorithm::{JwtAlgorithm, KeyKind};
use super::form::{JwtForm, PinnedUrl};
use super::public_key::{self, Flaw};
use super::request::Request;
use super::scheme::Proof;
use super::{Profile, Reason, Reject, jwt, url};
use crate::clock::UnixMs;
use crate::secret::{Secret, SecretVersion, SecretVersions};

/// How long a certificate is cached, in seconds; the content at its address does not change.
const CERTIFICATE_LIFE_SECONDS: u64 = 24 * 60 * 60;
/// How long a key set is cached, in seconds; providers publish the next key well before they use it.
const KEY_SET_LIFE_SECONDS: u64 = 60 * 60;
/// The kind of key that all algorithms of certificates use.
const CERTIFICATE_KEY: KeyKind = KeyKind::Rsa;
/// Most certificates in one file.
const CHAIN_CERTIFICATES_MAX: usize = 8;

/// Where the keys for one delivery are published; the address has the form the profile pins.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Published {
    url: String,
    kind: Kind,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Kind {
    Certificate {
        chain_name: Option<String>,
    },
    /// A JWK set with a key for this algorithm.
    KeySet(JwtAlgorithm),
}

/// Why the content of the address contains no usable key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PublishedError {
    /// It is something else.
    #[error("the document is {0}")]
    Other(String),
    /// The certificate has no chain to a trusted root, or is issued for another name.
    #[error("the certificate is not valid for `{name}`: {source}")]
    Chain {
        /// The required name.
        name: String,
        source: webpki::Error,
    },
}

/// The trusted roots for certificates.
#[derive(Debug, Clone)]
pub struct Roots(Vec<TrustAnchor<'static>>);

impl Roots {
    /// The roots of the web: Mozilla's list at the time the program was built.
    pub fn web() -> Self {
        Self(webpki_roots::TLS_SERVER_ROOTS.to_vec())
    }

    /// The roots in a PEM file; `None` if it contains none, or one that cannot be read.
    pub fn from_pem(text: &[u8]) -> Option<Self> {
        let certificates = CertificateDer::pem_slice_iter(text).collect::<Result<Vec<_>, _>>().ok()?;
        let anchor = |certificate| Some(webpki::anchor_from_trusted_cert(certificate).ok()?.to_owned());
        let anchors = certificates.iter().map(anchor).collect::<Option<Vec<_>>>()?;
        Some(Self(anchors)).filter(|roots| !roots.0.is_empty())
    }
}

impl Profile {
    /// Whether the provider publishes its keys, so that an integration needs none.
    pub fn publishes_keys(&self) -> bool {
        self.schemes.iter().any(|scheme| match &scheme.proof {
            Proof::Signed(scheme) => scheme.form.certificate_url.is_some(),
            Proof::Jwt(form) => form.jwks_url.is_some(),
            Proof::Token(_) | Proof::None => false,
        })
    }

    /// The key sets that the provider publishes. Certificates are not known beforehand: each delivery names the address of its
    /// own.
    pub fn key_sets(&self) -> impl Iterator<Item = Published> {
        self.schemes.iter().filter_map(|scheme| match &scheme.proof {
            Proof::Jwt(form) => key_set_of(form),
            Proof::Signed(_) | Proof::Token(_) | Proof::None => None,
        })
    }

    /// Where the keys for `request` are published; `None` if the provider publishes none.
    ///
    /// # Errors
    /// [`Reason::UntrustedKey`] when the delivery names an address that is not the provider's.
    pub fn published(&self, request: &Request<'_>) -> Result<Option<Published>, Reject> {
        Ok(match &self.scheme(request)?.proof {
            Proof::Signed(scheme) => match &scheme.form.certificate_url {
                Some(pinned) => {
                    let kind = Kind::Certificate { chain_name: pinned.chain_name.clone() };
                    Some(Published { url: pinned_url(pinned, request)?, kind })
                }
                None => None,
            },
            Proof::Jwt(form) => key_set_of(form),
            Proof::Token(_) | Proof::None => None,
        })
    }
}

fn key_set_of(form: &JwtForm) -> Option<Published> {
    form.jwks_url.clone().map(|url| Published { url, kind: Kind::KeySet(form.algorithm) })
}

/// The address in `request`, if it has the pinned form. The host is converted to lower case, so that each address has one
/// spelling.
///
/// # Errors
/// [`Reason::UntrustedKey`].
pub fn pinned_url(pinned: &PinnedUrl, request: &Request<'_>) -> Result<String, Reject> {
    let text = request.text(&pinned.from, Reason::UntrustedKey)?.unwrap_or_default();
    url::pinned(&text, pinned)
        .ok_or_else(|| Reject::new(Reason::UntrustedKey, "the certificate's address is not the provider's"))
}

impl Published {
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Whether it is a key set, the address of which is that of the profile.
    pub fn is_key_set(&self) -> bool {
        matches!(self.kind, Kind::KeySet(_))
    }

    /// How long the content may be cached, in seconds.
    pub fn life_seconds(&self) -> u64 {
        match self.kind {
            Kind::Certificate { .. } => CERTIFICATE_LIFE_SECONDS,
            Kind::KeySet(_) => KEY_SET_LIFE_SECONDS,
        }
    }

    /// Whether a delivery that is rejected so may be signed with a key that its provider has published since the keys at hand
    /// were fetched, whether or not it names the key. What a certificate's address names does not change: a provider that
    /// signs with another key names another address.
    pub fn may_have_newer(&self, reject: &Reject) -> bool {
        self.is_key_set() && reject.only_by_key
    }

    /// Reads the keys from the content of the address.
    ///
    /// # Errors
    /// Why it contains no usable key.
    pub fn read(&self, text: &[u8], roots: &Roots, now: UnixMs) -> Result<SecretVersions, PublishedError> {
        let key = match &self.kind {
            Kind::KeySet(algorithm) => key_set(text, *algorithm)?,
            Kind::Certificate { chain_name } => certificate(text, chain_name.as_deref(), roots, now)?,
        };
        let version = SecretVersion { version: 1, secret: Secret::new(key) };
        SecretVersions::new(vec![version]).ok_or_else(|| PublishedError::Other("empty".to_owned()))
    }
}

fn key_set(text: &[u8], algorithm: JwtAlgorithm) -> Result<Vec<u8>, PublishedError> {
    jwt::check_key_set(algorithm, text).map(|()| text.to_vec()).map_err(PublishedError::Other)
}

/// The first certificate of a PEM file; the following ones are its chain to a root.
fn certificate(
    text: &[u8],
    chain_name: Option<&str>,
    roots: &Roots,
    now: UnixMs,
) -> Result<Vec<u8>, PublishedError> {
    let not = |what: &str| PublishedError::Other(format!("not {what}"));
    let no_pem = || not("a certificate in PEM");
    let chain = CertificateDer::pem_slice_iter(text).take(CHAIN_CERTIFICATES_MAX);
    let chain = chain.collect::<Result<Vec<_>, _>>().map_err(|_| no_pem())?;
    let (first, others) = chain.split_first().ok_or_else(no_pem)?;
    if let Some(name) = chain_name {
        leads_to_a_root(first, others, name, roots, now)
            .map_err(|source| PublishedError::Chain { name: name.to_owned(), source })?;
    }
    let certificate = Certificate::from_der(first).map_err(|_| no_pem())?;
    let pem = certificate.to_pem(LineEnding::LF).map(String::into_bytes).map_err(|_| no_pem())?;
    match public_key::read(&pem, CERTIFICATE_KEY) {
        Ok(_) => Ok(pem),
        Err(Flaw::Form) => Err(not("a certificate with an RSA key of 2,048 to 8,192 bits")),
        Err(Flaw::Numbers(wrong)) => Err(not(&format!("a certificate that can verify signatures: {wrong}"))),
    }
}

fn leads_to_a_root(
    first: &CertificateDer<'_>,
    others: &[CertificateDer<'_>],
    name: &str,
    roots: &Roots,
    now: UnixMs,
) -> Result<(), webpki::Error> {
    let certificate = EndEntityCert::try_from(first)?;
    let now = UnixTime::since_unix_epoch(std::time::Duration::from_millis(now));
    let (algorithms, usage) = (webpki::ALL_VERIFICATION_ALGS, KeyUsage::server_auth());
    certificate.verify_for_usage(algorithms, &roots.0, others, now, usage, None, None)?;
    let name = ServerName::try_from(name).map_err(|_| webpki::Error::MalformedDnsIdentifier)?;
    certificate.verify_is_valid_for_subject_name(&name)
}
