//! Development certificates: two authorities, as in a real deployment, and one that nobody trusts.
//!
//! | file | is |
//! |---|---|
//! | `edge-ca.pem` | the authority of the listener side: what callers trust |
//! | `edge.pem`, `edge.key` | Envoy's certificate towards callers (`localhost`, `llm.local`, 127.0.0.1) |
//! | `caller.pem`, `caller.key` | a caller's client certificate, by the edge authority |
//! | `agent.pem`, `agent.key` | a client certificate with one SPIFFE id, by the edge authority |
//! | `two-names.pem`, `two-names.key` | one with two SPIFFE ids |
//! | `backend-ca.pem` | the authority of the upstream side: what Envoy trusts |
//! | `upstream.pem`, `upstream.key` | the upstream's certificate (`upstream.example.com`, `upstream.local`, `localhost`, 127.0.0.1) |
//! | `gateway-client.pem`, `gateway-client.key` | Envoy's client certificate towards the upstream |
//! | `stranger-ca.pem`, `stranger.pem`, `stranger.key` | somebody with a certificate of an authority nobody trusts |
//!
//! The keys are made for one run and protect nothing: they are written to a folder in plain PEM.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context as _, Result};
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, SanType,
};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{ClientConfig, RootCertStore, ServerConfig, SupportedProtocolVersion};
use tempfile::TempDir;

/// Name that the upstream's certificate carries and Envoy must ask for.
pub const UPSTREAM_NAME: &str = "upstream.example.com";
/// Common name of Envoy's client certificate.
pub const GATEWAY_NAME: &str = "gateway.example.com";
/// Common name of the caller's client certificate.
pub const CALLER_NAME: &str = "caller.example.com";

/// SPIFFE id of [`Identity::Agent`].
pub const AGENT_ID: &str = "spiffe://acme.test/agent/7";

/// Certificates and keys in one folder.
#[derive(Debug)]
pub struct Pki {
    folder: PathBuf,
    /// Removed with the value, when the folder is our own.
    _temporary: Option<TempDir>,
}

/// A certificate and its key, by file names without extension.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Identity {
    /// Envoy towards callers.
    Edge,
    /// A caller with a client certificate.
    Caller,
    /// A caller whose certificate has one SPIFFE id.
    Agent,
    /// A caller whose certificate has two.
    TwoNames,
    /// The upstream.
    Upstream,
    /// Envoy towards the upstream.
    GatewayClient,
    /// A certificate of an authority that nobody trusts.
    Stranger,
}

impl Identity {
    const fn stem(self) -> &'static str {
        match self {
            Self::Edge => "edge",
            Self::Caller => "caller",
            Self::Agent => "agent",
            Self::TwoNames => "two-names",
            Self::Upstream => "upstream",
            Self::GatewayClient => "gateway-client",
            Self::Stranger => "stranger",
        }
    }
}

impl Pki {
    /// Makes everything in a folder of its own that goes away with the value.
    ///
    /// # Errors
    /// When a key cannot be made or a file cannot be written.
    pub fn temporary() -> Result<Self> {
        let folder = TempDir::new().context("no temporary folder")?;
        let mut pki = Self::create(folder.path())?;
        pki._temporary = Some(folder);
        Ok(pki)
    }

    /// Makes everything in `folder`, which is created; files of the same names are overwritten.
    ///
    /// # Errors
    /// As [`Pki::temporary`].
    pub fn create(folder: &Path) -> Result<Self> {
        fs::create_dir_all(folder).with_context(|| format!("cannot create `{}`", folder.display()))?;
        let pki = Self { folder: folder.to_path_buf(), _temporary: None };
        let edge = pki.authority("edge-ca", "Veilwire development edge CA")?;
        let backend = pki.authority("backend-ca", "Veilwire development backend CA")?;
        let stranger = pki.authority("stranger-ca", "Veilwire development stranger CA")?;
        let local = ["localhost", "llm.local", "127.0.0.1", "::1"];
        let upstream = [UPSTREAM_NAME, "upstream.local", "localhost", "127.0.0.1"];
        pki.leaf(Identity::Edge, "localhost", &local, Purpose::Server, &edge)?;
        pki.leaf(Identity::Caller, CALLER_NAME, &[CALLER_NAME], Purpose::Client, &edge)?;
        let admin = "spiffe://acme.test/admin";
        pki.leaf(Identity::Agent, "agent", &[AGENT_ID, CALLER_NAME], Purpose::Client, &edge)?;
        pki.leaf(Identity::TwoNames, "agent", &[AGENT_ID, admin], Purpose::Client, &edge)?;
        pki.leaf(Identity::Upstream, UPSTREAM_NAME, &upstream, Purpose::Server, &backend)?;
        pki.leaf(Identity::GatewayClient, GATEWAY_NAME, &[GATEWAY_NAME], Purpose::Client, &backend)?;
        pki.leaf(Identity::Stranger, "stranger.example.net", &local, Purpose::Both, &stranger)?;
        Ok(pki)
    }

    /// Folder that holds the files.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Path of a file by its name in the table above.
    #[must_use]
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// What a caller uses: trusts the edge authority, offers `alpn` in order, and `identity` if there is one.
    /// `versions` limits TLS, for example to `&[&rustls::version::TLS12]`.
    ///
    /// # Errors
    /// When a file is unreadable or the parts do not fit together.
    pub fn client_config(
        &self,
        alpn: &[&[u8]],
        identity: Option<Identity>,
        versions: &[&'static SupportedProtocolVersion],
    ) -> Result<Arc<ClientConfig>> {
        let builder = ClientConfig::builder_with_provider(provider())
            .with_protocol_versions(versions)?
            .with_root_certificates(self.roots("edge-ca.pem")?);
        let mut config = match identity {
            None => builder.with_no_client_auth(),
            Some(who) => builder.with_client_auth_cert(self.chain(who)?, self.key(who)?)?,
        };
        config.alpn_protocols = alpn.iter().map(|name| name.to_vec()).collect();
        Ok(Arc::new(config))
    }

    /// What the upstream uses: **requires** a client certificate of the backend authority.
    ///
    /// # Errors
    /// As [`Pki::client_config`].
    pub fn upstream_config(&self, alpn: &[&[u8]]) -> Result<Arc<ServerConfig>> {
        let roots = Arc::new(self.roots("backend-ca.pem")?);
        let verifier = WebPkiClientVerifier::builder_with_provider(roots, provider()).build()?;
        let mut config = ServerConfig::builder_with_provider(provider())
            .with_protocol_versions(rustls::ALL_VERSIONS)?
            .with_client_cert_verifier(verifier)
            .with_single_cert(self.chain(Identity::Upstream)?, self.key(Identity::Upstream)?)?;
        config.alpn_protocols = alpn.iter().map(|name| name.to_vec()).collect();
        Ok(Arc::new(config))
    }

    /// What a server uses that asks nobody for a certificate and shows that of `who`.
    ///
    /// # Errors
    /// As [`Pki::client_config`].
    pub fn server_config(&self, who: Identity, alpn: &[&[u8]]) -> Result<Arc<ServerConfig>> {
        let mut config = ServerConfig::builder_with_provider(provider())
            .with_protocol_versions(rustls::ALL_VERSIONS)?
            .with_no_client_auth()
            .with_single_cert(self.chain(who)?, self.key(who)?)?;
        config.alpn_protocols = alpn.iter().map(|name| name.to_vec()).collect();
        Ok(Arc::new(config))
    }

    fn authority(&self, stem: &str, name: &str) -> Result<Issuer<'static, KeyPair>> {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let key = KeyPair::generate()?;
        self.write(&format!("{stem}.pem"), &params.self_signed(&key)?.pem())?;
        Ok(Issuer::new(params, key))
    }

    fn leaf(
        &self,
        who: Identity,
        name: &str,
        sans: &[&str],
        purpose: Purpose,
        issuer: &Issuer<'static, KeyPair>,
    ) -> Result<()> {
        let (uris, others): (Vec<&str>, Vec<&str>) =
            sans.iter().copied().partition(|san| san.contains("://"));
        let mut params = CertificateParams::new(others.into_iter().map(str::to_owned).collect::<Vec<_>>())?;
        for uri in uris {
            params.subject_alt_names.push(SanType::URI(uri.try_into()?));
        }
        params.distinguished_name.push(DnType::CommonName, name);
        params.distinguished_name.push(DnType::OrganizationName, "Example");
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = purpose.usages();
        params.use_authority_key_identifier_extension = true;
        let key = KeyPair::generate()?;
        let certificate = params.signed_by(&key, issuer)?;
        self.write(&format!("{}.pem", who.stem()), &certificate.pem())?;
        self.write(&format!("{}.key", who.stem()), &key.serialize_pem())
    }

    fn write(&self, name: &str, text: &str) -> Result<()> {
        let path = self.path(name);
        fs::write(&path, text).with_context(|| format!("cannot write `{}`", path.display()))
    }

    /// SHA-256 of a certificate.
    ///
    /// # Errors
    /// When the file is unreadable.
    pub fn sha256(&self, who: Identity) -> Result<Vec<u8>> {
        let chain = self.chain(who)?;
        let leaf = chain.first().context("no certificate")?;
        Ok(ring::digest::digest(&ring::digest::SHA256, leaf).as_ref().to_vec())
    }

    fn roots(&self, name: &str) -> Result<RootCertStore> {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_file(self.path(name))?)?;
        Ok(roots)
    }

    fn chain(&self, who: Identity) -> Result<Vec<CertificateDer<'static>>> {
        Ok(vec![CertificateDer::from_pem_file(self.path(&format!("{}.pem", who.stem())))?])
    }

    fn key(&self, who: Identity) -> Result<PrivateKeyDer<'static>> {
        Ok(PrivateKeyDer::from_pem_file(self.path(&format!("{}.key", who.stem())))?)
    }
}

#[derive(Debug, Clone, Copy)]
enum Purpose {
    Server,
    Client,
    Both,
}

impl Purpose {
    fn usages(self) -> Vec<ExtendedKeyUsagePurpose> {
        match self {
            Self::Server => vec![ExtendedKeyUsagePurpose::ServerAuth],
            Self::Client => vec![ExtendedKeyUsagePurpose::ClientAuth],
            Self::Both => vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth],
        }
    }
}

/// Named explicitly: a process-wide default provider would be a global that tests share.
fn provider() -> Arc<rustls::crypto::CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}
