//! The way of a connection over the network: TLS, or plain text on this machine.

use saga_core::store::StoreError;
use tokio_postgres::Config;
use tokio_postgres::config::{Host, SslMode};

#[cfg(feature = "rustls")]
pub(crate) use with_rustls::Tls;
#[cfg(not(feature = "rustls"))]
pub(crate) use without::Tls;

use crate::error::refuse;

/// Sets the mode of TLS. Plain text over a network shows payloads and lets others write, so it is refused.
pub(crate) fn set_mode(name: &str, config: &mut Config) -> Result<(), StoreError> {
    if is_near(config) {
        // A certificate of a server on this machine proves nothing. It is used if it is asked for.
        if config.get_ssl_mode() == SslMode::Prefer {
            config.ssl_mode(SslMode::Disable);
        }
        return Ok(());
    }
    if !cfg!(feature = "rustls") {
        let why = "the server is on another machine, and this build has no TLS; enable the feature `postgres-rustls` (`rustls` of `saga-postgres`)";
        return Err(refuse(name, why));
    }
    if config.get_ssl_mode() == SslMode::Disable {
        let why = "the server is on another machine, and `sslmode=disable` would show payloads to the network; remove it";
        return Err(refuse(name, why));
    }
    config.ssl_mode(SslMode::Require);
    Ok(())
}

/// Returns whether every host is on this machine.
fn is_near(config: &Config) -> bool {
    let is_near = |host: &Host| match host {
        Host::Tcp(host) => {
            host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
        }
        #[cfg(unix)]
        Host::Unix(_) => true,
    };
    config.get_hosts().iter().all(is_near) && config.get_hostaddrs().iter().all(|host| host.is_loopback())
}

#[cfg(not(feature = "rustls"))]
mod without {
    use tokio_postgres::NoTls;

    use super::{Config, StoreError};
    use crate::options::PostgresOptions;

    /// No TLS.
    pub(crate) type Tls = NoTls;

    pub(crate) fn new(_: &str, _: &Config, _: &PostgresOptions) -> Result<Tls, StoreError> {
        Ok(NoTls)
    }
}

#[cfg(feature = "rustls")]
mod with_rustls {
    use std::sync::Arc;

    use rustls::pki_types::CertificateDer;
    use rustls::pki_types::pem::PemObject;
    use rustls::{ClientConfig, RootCertStore};
    use tokio_postgres_rustls::MakeRustlsConnect;

    use super::{Config, SslMode, StoreError, refuse};
    use crate::options::PostgresOptions;

    /// TLS by rustls. The certificate and the name of the server are always checked.
    pub(crate) type Tls = MakeRustlsConnect;

    pub(crate) fn new(name: &str, config: &Config, options: &PostgresOptions) -> Result<Tls, StoreError> {
        let mut roots = RootCertStore::empty();
        match &options.roots {
            Some(pem) => {
                for certificate in CertificateDer::pem_slice_iter(pem) {
                    let certificate = certificate.map_err(|error| refuse(name, bad_root(&error)))?;
                    roots.add(certificate).map_err(|error| refuse(name, bad_root(&error)))?;
                }
                if roots.is_empty() {
                    return Err(refuse(name, bad_root(&"the PEM has no certificate")));
                }
            }
            // Certificates of this machine are read only if a connection needs them.
            None if config.get_ssl_mode() == SslMode::Disable => {}
            None => {
                for certificate in rustls_native_certs::load_native_certs().certs {
                    // A machine may have certificates in old forms.
                    let _ = roots.add(certificate);
                }
            }
        }
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let client = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| refuse(name, error.to_string()))?
            .with_root_certificates(roots)
            .with_no_client_auth();
        Ok(MakeRustlsConnect::new(client))
    }

    fn bad_root(why: &dyn std::fmt::Display) -> String {
        format!(
            "the root certificates cannot be read: {why}; give `root_certificates` a PEM file with certificates"
        )
    }
}

#[cfg(feature = "rustls")]
pub(crate) use with_rustls::new;
#[cfg(not(feature = "rustls"))]
pub(crate) use without::new;

#[cfg(test)]
mod tests {
    use super::*;

    fn mode(config: &str) -> Result<SslMode, String> {
        let mut config: Config = config.parse().unwrap();
        set_mode("the store", &mut config).map_err(|error| error.to_string())?;
        Ok(config.get_ssl_mode())
    }

    #[test]
    fn a_server_on_this_machine_needs_no_tls() {
        for near in ["host=localhost", "host=127.0.0.1", "host=::1", "host=/run/postgresql"] {
            assert_eq!(mode(near), Ok(SslMode::Disable));
            assert_eq!(mode(&format!("{near} sslmode=require")), Ok(SslMode::Require));
        }
    }

    #[test]
    fn a_server_on_another_machine_is_never_reached_in_plain_text() {
        for far in
            ["host=db.example.com", "host=10.0.0.7", "host=localhost,10.0.0.7", "host=db hostaddr=10.0.0.7"]
        {
            if cfg!(feature = "rustls") {
                assert_eq!(mode(far), Ok(SslMode::Require));
                let refused = mode(&format!("{far} sslmode=disable")).unwrap_err();
                assert!(refused.contains("sslmode=disable"), "{refused}");
            } else {
                let refused = mode(far).unwrap_err();
                assert!(refused.contains("postgres-rustls"), "{refused}");
            }
        }
    }
}
