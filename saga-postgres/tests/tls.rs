//! Connections with TLS: the certificate and the name of the server are checked.

#![cfg(feature = "rustls")]

mod support;

use std::net::TcpListener;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use saga_core::store::StoreError;
use saga_postgres::{PostgresOptions, PostgresStore};
use support::{Cluster, Schema};

/// An authority of its own.
fn authority() -> CertifiedIssuer<'static, KeyPair> {
    let mut params = CertificateParams::new(Vec::new()).expect("names");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    CertifiedIssuer::self_signed(params, KeyPair::generate().expect("a key")).expect("an authority")
}

async fn connect(options: PostgresOptions, config: &str) -> Result<PostgresStore, StoreError> {
    options.schema("tls").connect(config).await
}

#[test]
fn the_certificate_and_the_name_of_the_server_are_checked() {
    if !support::is_here() {
        return;
    }
    let (authority, key) = (authority(), KeyPair::generate().expect("a key"));
    let params = CertificateParams::new(vec!["localhost".to_owned()]).expect("names");
    let certificate = params.signed_by(&key, &authority).expect("a certificate");
    // The port is free until the server takes it.
    let port = TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("an address").port();
    let settings = format!("ssl = on\nlisten_addresses = '127.0.0.1'\nport = {port}");
    let files = [("server.crt", &*certificate.pem()), ("server.key", &*key.serialize_pem())];
    let cluster = Cluster::start_with(&settings, &files).expect("PostgreSQL is here");
    let config = |host: &str, mode: &str| {
        format!("host={host} hostaddr=127.0.0.1 port={port} user=saga dbname=postgres sslmode={mode}")
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let trusted = || PostgresStore::options().root_certificates(authority.pem());
        drop(connect(trusted(), &config("localhost", "require")).await.expect("the store opens"));
        let at = Schema { config: format!("{} port={port}", cluster.config), name: "tls".to_owned() };
        let row =
            at.client().await.query_one("SELECT version FROM saga_meta", &[]).await.expect("the tables");
        let version = usize::try_from(row.get::<_, i32>(0)).expect("a version");
        assert_eq!(version, PostgresStore::SCHEMA, "through TLS the tables were made");

        let stranger = PostgresStore::options().root_certificates(self::authority().pem());
        for (options, host) in [(stranger, "localhost"), (trusted(), "db.example.com")] {
            let refused = connect(options, &config(host, "require")).await;
            let said = saga_core::message::chain(&refused.expect_err("it is not this server")).to_string();
            assert!(said.contains("certificate"), "{said}");
        }
        let nonsense = PostgresStore::options().root_certificates("no certificate");
        let refused =
            connect(nonsense, &config("localhost", "require")).await.expect_err("nothing is trusted");
        assert!(refused.to_string().contains("root certificates cannot be read"), "{refused}");
    });
}
