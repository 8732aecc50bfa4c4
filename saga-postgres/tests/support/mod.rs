//! A PostgreSQL server for tests: a temporary one that the tests make themselves, or the one that `SAGA_TEST_POSTGRES` names.
//!
//! Owns: the server, its files and its end. The server ends with this process, also after `kill -9`: a shell waits for the
//! end of its input. Without PostgreSQL the tests are skipped with one line, unless `SAGA_REQUIRE_POSTGRES` is set.

#![allow(dead_code, reason = "each test program uses a part")]

use std::fs;
use std::io::Write;
use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

use saga_postgres::tokio_postgres::{Client, Config, NoTls};
use saga_postgres::{PostgresOptions, PostgresStore};

/// Names a server to use instead of a temporary one: a connection string of a role that may create schemas.
const GIVEN: &str = "SAGA_TEST_POSTGRES";
/// Makes the absence of PostgreSQL a failure.
const REQUIRED: &str = "SAGA_REQUIRE_POSTGRES";

/// A schema of its own on the server of the tests.
#[derive(Clone, Debug)]
pub(crate) struct Schema {
    pub(crate) config: String,
    pub(crate) name: String,
}

impl Schema {
    /// Returns an unused schema. `None` without PostgreSQL.
    pub(crate) fn new() -> Option<Self> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let config = server()?.to_owned();
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        Some(Self { config, name: format!("test_{}_{count}", std::process::id()) })
    }

    pub(crate) fn options(&self) -> PostgresOptions {
        PostgresStore::options().schema(&*self.name)
    }

    /// Opens a plain connection to the schema.
    pub(crate) async fn client(&self) -> Client {
        let mut config: Config = self.config.parse().expect("a connection string");
        config.options(format!("-c search_path={}", self.name));
        let (client, connection) = config.connect(NoTls).await.expect("a connection");
        tokio::spawn(connection);
        client
    }

    /// Opens the store from a thread without a runtime.
    pub(crate) fn open(&self, options: PostgresOptions) -> PostgresStore {
        let (options, config) = (options.schema(&*self.name), self.config.clone());
        let opened = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime starts");
            runtime.block_on(options.connect(&config))
        });
        opened.join().expect("no panic").expect("the store opens")
    }
}

/// The connection string of the server. `None` without PostgreSQL.
fn server() -> Option<&'static str> {
    static SERVER: OnceLock<Option<(String, Option<Cluster>)>> = OnceLock::new();
    let server = SERVER.get_or_init(|| {
        if let Ok(given) = std::env::var(GIVEN) {
            return Some((given, None));
        }
        let cluster = Cluster::start()?;
        Some((cluster.config.clone(), Some(cluster)))
    });
    server.as_ref().map(|(config, _)| &**config)
}

/// Returns whether PostgreSQL is here. Otherwise one line says that the tests are skipped.
///
/// # Panics
/// As [`Cluster::start`].
pub(crate) fn is_here() -> bool {
    if programs().is_some() {
        return true;
    }
    assert!(std::env::var_os(REQUIRED).is_none(), "{REQUIRED} is set, and PostgreSQL is not installed");
    static TOLD: OnceLock<()> = OnceLock::new();
    TOLD.get_or_init(|| {
        let line = "skipped: no tests of PostgreSQL; install it (Debian: postgresql), or name a server in SAGA_TEST_POSTGRES";
        // Cargo hides the output of a test that passes, and not that of the process.
        let _ = writeln!(std::io::stderr(), "{line}");
    });
    false
}

/// A temporary server on a socket.
#[derive(Debug)]
pub(crate) struct Cluster {
    pub(crate) config: String,
    bin: PathBuf,
    dir: PathBuf,
    user: Option<(u32, u32)>,
    /// The shell that ends the server.
    guard: Child,
}

/// Durability costs time, and tests of laws do not need it. No setting changes what a crash of a process leaves.
const SETTINGS: &str = "fsync = off\nfull_page_writes = off\nlisten_addresses = ''\nmax_connections = 200\n\
                        shared_buffers = 64MB\nlog_min_messages = fatal\nautovacuum_naptime = 10s\n";

impl Cluster {
    /// Makes a server and starts it. `None` without PostgreSQL.
    ///
    /// # Panics
    /// If PostgreSQL is here and does not start, or if it is not here and [`REQUIRED`] is set.
    pub(crate) fn start() -> Option<Self> {
        Self::start_with("", &[])
    }

    /// Makes a server with these settings, and these files among its data, and starts it.
    ///
    /// # Panics
    /// As [`start`](Self::start).
    pub(crate) fn start_with(settings: &str, files: &[(&str, &str)]) -> Option<Self> {
        if !is_here() {
            return None;
        }
        let bin = programs()?;
        let user = unprivileged();
        let dir = directory(user);
        let data = dir.join("data");
        let made = run(&bin.join("initdb"), user)
            .args(["--auth=trust", "--username=saga", "--encoding=UTF8", "--locale=C", "--no-sync", "-D"])
            .arg(&data)
            .output()
            .expect("initdb runs");
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        let mut file = fs::OpenOptions::new()
            .append(true)
            .open(data.join("postgresql.conf"))
            .expect("the settings open");
        writeln!(file, "{SETTINGS}unix_socket_directories = '{}'\n{settings}", dir.display())
            .expect("the settings are written");
        for (name, text) in files {
            let path = data.join(name);
            fs::write(&path, text).expect("the file is written");
            fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).expect("the file is private");
            if let Some((uid, gid)) = user {
                chown(&path, Some(uid), Some(gid)).expect("the file gets its owner");
            }
        }
        Some(Self::run(bin, dir, user))
    }

    /// Makes a replica, which receives everything that this server writes, and starts it.
    pub(crate) fn replica(&self) -> Self {
        let dir = directory(self.user);
        let made = run(&self.bin.join("pg_basebackup"), self.user)
            .args(["--write-recovery-conf", "--checkpoint=fast", "--no-sync", "--username=saga", "-h"])
            .arg(&self.dir)
            .arg("-D")
            .arg(dir.join("data"))
            .output()
            .expect("pg_basebackup runs");
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        let settings = fs::OpenOptions::new().append(true).open(dir.join("data/postgresql.conf"));
        let own = format!("unix_socket_directories = '{}'\nsynchronous_standby_names = ''", dir.display());
        writeln!(settings.expect("the settings open"), "{own}").expect("the settings are written");
        Self::run(self.bin.clone(), dir, self.user)
    }

    /// Makes a replica the server. It accepts writes from here on.
    pub(crate) fn promote(&self) {
        self.control("promote");
    }

    fn run(bin: PathBuf, dir: PathBuf, user: Option<(u32, u32)>) -> Self {
        // The shell waits for the end of its input, which is the end of this process.
        let end = "cat >/dev/null; \"$0/pg_ctl\" -D \"$1/data\" -m immediate -w stop >/dev/null 2>&1; rm -rf \"$1\"";
        let guard = run(Path::new("/bin/sh"), user)
            .args(["-c", end])
            .arg(&bin)
            .arg(&dir)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .process_group(0)
            .spawn()
            .expect("a shell starts");
        let config = format!("host={} user=saga dbname=postgres", dir.display());
        let cluster = Self { config, bin, dir, user, guard };
        cluster.control("start");
        cluster
    }

    /// Ends the server without a checkpoint, and starts it again: a crash of the server.
    pub(crate) fn crash(&self) {
        self.control("stop");
        self.control("start");
    }

    /// Ends the server without a checkpoint.
    pub(crate) fn stop(&self) {
        self.control("stop");
    }

    /// Starts the server again.
    pub(crate) fn restart(&self) {
        self.control("start");
    }

    fn control(&self, verb: &str) {
        let done = run(&self.bin.join("pg_ctl"), self.user)
            .args([verb, "-w", "-t", "60", "-D"])
            .arg(self.dir.join("data"))
            .args(match verb {
                "start" => vec!["-l".into(), self.dir.join("log")],
                "stop" => vec!["-m".into(), "immediate".into()],
                _ => Vec::new(),
            })
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()
            .expect("pg_ctl runs");
        let log = fs::read_to_string(self.dir.join("log")).unwrap_or_default();
        assert!(done.success(), "pg_ctl {verb}: {log}");
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        drop(self.guard.stdin.take());
        // The shell ends the server and removes the files.
        let _ = self.guard.wait();
    }
}

/// A private directory of the user of the server.
fn directory(user: Option<(u32, u32)>) -> PathBuf {
    let dir = tempfile::Builder::new().prefix("saga-pg-").tempdir().expect("a directory").keep();
    if let Some((uid, gid)) = user {
        chown(&dir, Some(uid), Some(gid)).expect("the directory gets its owner");
    }
    fs::set_permissions(&dir, fs::Permissions::from_mode(0o700)).expect("the directory is private");
    dir
}

fn run(program: &Path, user: Option<(u32, u32)>) -> Command {
    let mut command = Command::new(program);
    command.current_dir("/");
    if let Some((uid, gid)) = user {
        command.uid(uid).gid(gid);
    }
    command
}

/// The directory with the programs of the newest PostgreSQL.
fn programs() -> Option<PathBuf> {
    let on_path = std::env::var_os("PATH")
        .into_iter()
        .flat_map(|path| std::env::split_paths(&path).collect::<Vec<_>>());
    let mut debian: Vec<PathBuf> = fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten()
        .filter_map(|entry| Some(entry.ok()?.path().join("bin")))
        .collect();
    debian.sort();
    on_path
        .chain(debian.into_iter().rev())
        // A link may lead to one program of several.
        .filter_map(|bin| Some(fs::canonicalize(bin.join("initdb")).ok()?.parent()?.to_owned()))
        .find(|bin| ["pg_ctl", "pg_basebackup"].iter().all(|program| bin.join(program).exists()))
}

/// PostgreSQL refuses to run for the superuser of the machine. Tests of the superuser run it for another user.
fn unprivileged() -> Option<(u32, u32)> {
    let is_root = fs::metadata("/proc/self").is_ok_and(|of| std::os::unix::fs::MetadataExt::uid(&of) == 0);
    if !is_root {
        return None;
    }
    let users = fs::read_to_string("/etc/passwd").expect("the users can be read");
    let id = |name: &str| {
        let line = users.lines().find(|line| line.split(':').next() == Some(name))?;
        let mut fields = line.split(':').skip(2);
        Some((fields.next()?.parse().ok()?, fields.next()?.parse().ok()?))
    };
    Some(id("postgres").or_else(|| id("nobody")).expect("there is a user without rights"))
}
