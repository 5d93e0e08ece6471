//! The composition root: creates the components of the server and connects them. No other file names concrete adapters.

mod secrets;

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use actors::export::{ExportPorts, Exports, ParseRequest};
use actors::{Ports, Profiles};
use arc_swap::ArcSwap;
use config::{AccessTable, Mode, Secrets, Settings};
use domain::access::Policy;
use domain::export::{ColumnSet, ExportRequest, ExportRules};
use domain::port::clock::{Clock, Entropy};
use domain::port::dead_letters::{DeadLetters, RejectedEvents};
use domain::port::erasure::{ErasureParticipant, UserDirectory};
use domain::port::keyring_backup::KeyringBackups;
use domain::port::registry::Registry;
use domain::record::Replay;
use domain::rules::Rules;
use kernels::CudaOptions;
use secrecy::ExposeSecret;
use store::audit::{self, AuditKeys, AuditStore};
use store::backup::Backups;
use store::{Closer, KeyManager, Quarantine, SystemKeys};

use crate::erasure::{ErasureParts, Erasures, ExportResults, LiveTickets, PageSessions, ReadBlock, SavedColumns};
use crate::http::request::caller::{
    CredentialVersion, KeySource, KeyStore, KeyUrl, Revocations, Sessions, Verifier, VerifierParts,
};
use crate::http::request::limits::{LimitParts, Limits, TrustedProxies};
use crate::http::request::tickets::Tickets;
use crate::http::{ConfigChanges, Denials, OperationsHistory, ServiceReads};
use crate::options;
use crate::reload::Reloader;
use crate::shared_parts::SharedParts;
use crate::start_error::StartError;
use crate::telemetry::UserHashKey;

use secrets::note_newer_master_key;
pub(crate) use secrets::{
    KeyParts, key_parts, load_secrets, login_codes, look_at_secrets, master_key, randomness, to_store,
};

/// The purposes of keys that derive from the keyring's system root. The keys stay the same when the master key is rotated, so
/// cursors stay valid, and a user keeps one hash in the log.
const CURSORS: &str = "profile-server: cursors";
const ERASURES: &str = "profile-server: jobs and receipts of erasures";
const USER_IDS_IN_LOGS: &str = "profile-server: user ids in logs";

/// The components of a server, connected with each other.
pub(crate) struct Components {
    pub(crate) profiles: Profiles,
    pub(crate) rules: Arc<Rules>,
    pub(crate) policy: Arc<ArcSwap<Policy>>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) entropy: Arc<dyn Entropy>,
    pub(crate) dead_letters: Arc<dyn DeadLetters>,
    /// Strips the rejected events of erased users that wait to be written.
    waiting_letters: Arc<dyn ErasureParticipant>,
    /// Reads and changes the rejected events that were kept.
    pub(crate) rejected: Arc<dyn RejectedEvents>,
    pub(crate) quarantine: Arc<Quarantine>,
    pub(crate) store: store::StoreStatus,
    /// Finds users without reading their data.
    pub(crate) user_directory: Arc<dyn UserDirectory>,
    /// Destroys the keys of erased users.
    pub(crate) user_keys: Arc<dyn ErasureParticipant>,
    pub(crate) epoch: u64,
    pub(crate) closer: Closer,
    /// Tells the ages of the keys, and rotates them.
    pub(crate) keys: KeyManager,
    /// Derives the keys of what belongs to no user.
    system_keys: SystemKeys,
    /// Makes backups.
    pub(crate) backups: Arc<Backups>,
    /// Keeps what belongs to no profile, such as revocations and sessions.
    pub(crate) registry: Arc<dyn Registry>,
    /// The bulk exports.
    pub(crate) exports: Exports,
    pub(crate) export_rules: Arc<ExportRules>,
    /// Records what is done to citizens' data, and is read through the same value.
    pub(crate) audit: Arc<AuditStore>,
    /// The key under whose hashes jobs and receipts of erasures are stored.
    pub(crate) erasure_key: [u8; 32],
    /// Counts the reads of services for the audit log.
    pub(crate) service_reads: Arc<ServiceReads>,
    /// Records calls that were refused.
    pub(crate) denials: Arc<Denials>,
    /// Records changes of what the operator configures.
    pub(crate) config_changes: Arc<ConfigChanges>,
}

/// Opens the store and starts the actors on it. The store's key of the hash of user ids in the log is set in `log_key`.
pub(crate) fn build(settings: &Settings, secrets: &Secrets, log_key: &UserHashKey) -> Result<Components, StartError> {
    let rules = Arc::new(rules(settings)?);
    let policy = Arc::new(ArcSwap::from_pointee(load_policy(settings)?));
    let clock = assembly_clock(settings);
    let entropy = entropy();
    let master_key = master_key(secrets);
    // Retention follows the wall clock, even if the clock of assembly is fixed.
    let options = store::StoreOptions { clock: Some(wall_clock()), ..options::store_options(settings) };
    let store = store::open(options, &master_key, Arc::new(Replay), Arc::clone(&entropy))?;
    note_newer_master_key(secrets, &store.closer.keys());
    let audit_keys = AuditKeys::derive(&store.system_keys);
    let audit = Arc::new(audit::open(&options::audit_options(settings, wall_clock()), audit_keys)?);
    log_key.set(&store.system_keys.derive(USER_IDS_IN_LOGS));
    let ports = Ports {
        journal: store.journal,
        store: store.reader,
        projections: store.projections,
        log: store.log,
        clock: Arc::clone(&clock),
        entropy: Arc::clone(&entropy),
        rules: Arc::clone(&rules),
        policy: Arc::clone(&policy),
    };
    let options = actors::Options {
        epoch: store.epoch,
        cursor_key: *store.system_keys.derive(CURSORS),
        ..options::actor_options(settings)
    };
    let profiles = Profiles::start(options, ports).map_err(StartError::Thread)?;
    store.closer.use_committed_states(profiles.committed_states());
    store.closer.save_projection(profiles.columns_to_save());
    let export_rules = Arc::new(config::load_export(&settings.data_dir)?);
    let export_ports = ExportPorts {
        columns: profiles.columns(),
        tables: store.tables,
        registry: Arc::clone(&store.registry),
        clock: wall_clock(),
        entropy: Arc::clone(&entropy),
        backend: kernels::choose(options::export_backend(settings), CudaOptions::default())
            .map_err(|error| StartError::ExportBackend(error.to_string()))?,
        rules: Arc::clone(&export_rules),
        parse: export_parser(Arc::clone(&rules), Arc::clone(&export_rules)),
        parse_earlier: export_parser(
            Arc::clone(&rules),
            Arc::new(ExportRules { columns: ColumnSet::ALL, ..(*export_rules).clone() }),
        ),
    };
    let exports = Exports::start(&options::export_options(settings), export_ports).map_err(StartError::Thread)?;
    Ok(Components {
        profiles,
        rules,
        policy,
        clock,
        entropy,
        rejected: store.dead_letters.clone(),
        waiting_letters: store.dead_letters.clone(),
        dead_letters: store.dead_letters,
        quarantine: store.quarantine,
        store: store.status,
        user_directory: store.users,
        user_keys: store.keys,
        epoch: store.epoch,
        keys: store.closer.keys(),
        closer: store.closer,
        backups: store.backups,
        exports,
        export_rules,
        service_reads: ServiceReads::new(audit.clone(), wall_clock().now_micros()),
        denials: Arc::new(Denials::new(audit.clone())),
        config_changes: Arc::new(ConfigChanges::new(audit.clone(), Arc::clone(&store.registry))),
        erasure_key: *store.system_keys.derive(ERASURES),
        system_keys: store.system_keys,
        registry: store.registry,
        audit,
    })
}

/// Returns what reads the requests of exports that wait over a restart.
fn export_parser(rules: Arc<Rules>, export_rules: Arc<ExportRules>) -> ParseRequest {
    Box::new(move |request| ExportRequest::parse(request.as_bytes(), &rules, &export_rules).ok())
}

/// Returns the rules of assembly and validation, from known facts and the settings.
pub fn rules(settings: &Settings) -> Result<Rules, StartError> {
    let districts = data::states().iter().map(|state| {
        let slugs = data::districts(state.slug).unwrap_or_default().iter().map(|slug| (*slug).to_owned());
        (state.slug.to_owned(), slugs.collect())
    });
    Ok(Rules {
        zone: settings.time.zone.clone(),
        districts: districts.collect(),
        not_applicable: config::load_completeness(&settings.data_dir)?,
        schemes_waiting: data::schemes_waiting(),
        limits: options::limits(settings),
    })
}

/// Loads and compiles the access table.
pub fn load_policy(settings: &Settings) -> Result<Policy, StartError> {
    Ok(Policy::compile(&AccessTable::load(&settings.data_dir)?.rules)?)
}

/// What decides about credentials.
pub(crate) struct Credentials {
    pub(crate) verifier: Arc<Verifier>,
    pub(crate) keys: Arc<KeyStore>,
    pub(crate) sessions: Arc<Sessions>,
}

/// Reads the public keys and the revocations. The local development key signs tokens too, if there is one.
///
/// # Errors
/// A file with public keys or certificates is configured and cannot be used, or a revocation cannot be read. An address that does not
/// answer is asked again later.
pub(crate) fn credentials(
    settings: &Settings,
    secrets: &Secrets,
    components: &Components,
) -> Result<Credentials, StartError> {
    if settings.mode == Mode::Production && key_source(settings).is_none() {
        tracing::warn!(
            "no public keys are configured, so all tokens are refused: set `auth.jwks_file` or `auth.jwks_url`"
        );
    }
    let registry = &components.registry;
    let (clock, version) = (wall_clock(), Arc::new(CredentialVersion::new()));
    let keys = Arc::new(
        KeyStore::new(key_source(settings), Arc::clone(&version)).recording(Arc::clone(&components.config_changes)),
    );
    match keys.load() {
        Err(error) if settings.auth.jwks_url.is_none() || error.is_local() => {
            return Err(StartError::Keys(error.to_string()));
        }
        Err(error) => {
            tracing::error!(%error, "there are no public keys yet: tokens are refused until they are fetched")
        }
        Ok(()) => {}
    }
    let kept = settings.auth.max_service_life.max(settings.auth.max_life) + settings.auth.leeway * 2;
    let revocations = Revocations::load(Arc::clone(registry), Arc::clone(&version), kept)
        .map_err(|error| StartError::Revocations(error.to_string()))?;
    let revocations = Arc::new(revocations);
    let codes = login_codes(&components.system_keys);
    let mut hash_key = [0; 16];
    entropy().fill(&mut hash_key);
    let leeway = settings.auth.leeway;
    let sessions = Sessions::new(Arc::clone(registry), entropy(), codes, Arc::clone(&revocations), leeway);
    let verifier = Verifier::new(VerifierParts {
        development_key: secrets.development_secret.as_ref().map(|key| *key.expose_secret()),
        keys: Arc::clone(&keys),
        revocations,
        version,
        settings: settings.auth.clone(),
        clock,
        hash_key,
    });
    Ok(Credentials { verifier: Arc::new(verifier), keys, sessions: Arc::new(sessions) })
}

fn key_source(settings: &Settings) -> Option<KeySource> {
    let file = settings.auth.jwks_file.clone().map(KeySource::File);
    let url = || {
        let url = settings.auth.jwks_url.clone()?;
        let (authorities, interval) = (settings.auth.jwks_ca_file.clone(), settings.auth.jwks_refresh);
        Some(KeySource::Url(KeyUrl { url, authorities, interval }))
    };
    file.or_else(url)
}

/// Returns the parts that handlers share with the periodic work.
pub(crate) fn shared_parts(settings: &Settings, components: &Components) -> Result<SharedParts, StartError> {
    let limits = Arc::new(rate_limits(settings, components)?);
    let (profiles, policy) = (components.profiles.clone(), Arc::clone(&components.policy));
    let changes = Arc::clone(&components.config_changes);
    Ok(SharedParts {
        tickets: Arc::new(Tickets::new(&settings.live, Arc::clone(&components.entropy))),
        reloader: Arc::new(Reloader::new(&settings.data_dir, profiles, policy, Arc::clone(&limits), changes)),
        operations: Arc::new(OperationsHistory::new()),
        service_reads: Arc::clone(&components.service_reads),
        denials: Arc::clone(&components.denials),
        limits,
    })
}

/// Returns the erasures with the participants of this server. Profiles whose erasure is scheduled are hidden from now on.
///
/// # Errors
/// A stored erasure cannot be read.
pub(crate) fn erasures(
    settings: &Settings,
    components: &Components,
    credentials: &Credentials,
    shared: &SharedParts,
) -> Result<Erasures, StartError> {
    let (profiles, reading) = (components.profiles.clone(), components.profiles.clone());
    let participants: Vec<Arc<dyn ErasureParticipant>> = vec![
        Arc::clone(&components.user_keys),
        Arc::clone(&components.waiting_letters),
        profiles.live_memory(),
        Arc::new(SavedColumns(components.closer.projection_resealer())),
        Arc::new(ExportResults(components.exports.clone())),
        Arc::new(PageSessions(Arc::clone(&credentials.sessions))),
        Arc::new(LiveTickets(Arc::clone(&shared.tickets))),
    ];
    let parts = ErasureParts {
        registry: Arc::clone(&components.registry),
        audit: components.audit.clone(),
        trail: components.audit.clone(),
        directory: Arc::clone(&components.user_directory),
        reads: ReadBlock::new(Arc::clone(&components.policy), profiles.columns(), move || reading.follow_policy()),
        users: Arc::new(profiles),
        participants,
        backups: Arc::clone(&components.backups) as Arc<dyn KeyringBackups>,
        clock: wall_clock(),
        entropy: Arc::clone(&components.entropy),
        key: components.erasure_key,
        patience: settings.http.request_timeout,
        confirm_clock: settings.store.confirm_clock,
        hook: None,
    };
    Erasures::load(parts).map_err(|error| StartError::Erasures(error.to_string()))
}

/// Returns the rate limits of `limits.toml`, with the allowlist in the registry.
fn rate_limits(settings: &Settings, components: &Components) -> Result<Limits, StartError> {
    Ok(Limits::new(LimitParts {
        rules: config::load_limits(&settings.data_dir)?,
        registry: Arc::clone(&components.registry),
        audit: components.audit.clone(),
        wall_clock: wall_clock(),
        proxies: TrustedProxies::new(settings.http.trusted_proxies.clone()),
    }))
}

/// Returns the clock of the system, for tokens, timers, limits and retention.
pub(crate) fn wall_clock() -> Arc<dyn Clock> {
    Arc::new(SystemClock)
}

/// Returns the random number generator of the system.
pub(crate) fn entropy() -> Arc<dyn Entropy> {
    Arc::new(SystemEntropy)
}

/// Returns the clock of assembly, which may be fixed in development.
fn assembly_clock(settings: &Settings) -> Arc<dyn Clock> {
    match settings.time.fixed_clock {
        Some(instant) if settings.mode == Mode::Development => Arc::new(FixedClock(instant.as_microsecond())),
        _ => wall_clock(),
    }
}

struct SystemClock;

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "the one place that reads the system's clock")]
    fn now_micros(&self) -> i64 {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        i64::try_from(since.as_micros()).unwrap_or(i64::MAX)
    }
}

struct FixedClock(i64);

impl Clock for FixedClock {
    fn now_micros(&self) -> i64 {
        self.0
    }
}

struct SystemEntropy;

impl Entropy for SystemEntropy {
    /// # Panics
    /// If the system provides no random numbers, since no key may be created without them.
    fn fill(&self, bytes: &mut [u8]) {
        getrandom::fill(bytes).expect("the system provides random numbers");
    }
}
