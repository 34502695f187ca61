//! What the user asked for: flags, then environment, then defaults.
//!
//! One table, [`SETTINGS`], says for each setting its flag, its environment
//! variables and how its text becomes a value; help, parsing and messages all come
//! from it. `KUMO_…` names are accepted for those who come from kumo.

use std::{
    collections::BTreeMap,
    ffi::{OsStr, OsString},
    fmt::Write as _,
    path::PathBuf,
};

use cumulog_engine::Durability;

use crate::{
    cli::{self, UsageError},
    log::Level,
    memory::Limit,
    services::keeper,
};

/// All settings, checked.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    pub(crate) host: String,
    pub(crate) port: u16,
    pub(crate) data_dir: Option<PathBuf>,
    pub(crate) durability: Option<Durability>,
    /// The services that keep their state; `None`: all.
    pub(crate) persist: Option<Vec<String>>,
    /// The services that answer; `None`: all.
    pub(crate) services: Option<Vec<String>>,
    pub(crate) log: Level,
    /// The region of requests that name none.
    pub(crate) region: String,
    /// A folder of `*.sh`, run in order once the server listens.
    pub(crate) init_dir: Option<PathBuf>,
    /// What the state may take in memory.
    pub(crate) memory_limit: Limit,
    /// The largest request body that is not a streamed object, in bytes.
    pub(crate) request_bytes_max: usize,
    /// The largest object that one PUT may carry, in bytes.
    pub(crate) object_bytes_max: u64,
    /// What was set but has no effect, to be told at start.
    pub(crate) notes: Vec<String>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            host: "127.0.0.1".into(),
            port: 4566,
            data_dir: None,
            durability: None,
            persist: None,
            services: None,
            log: Level::default(),
            region: "us-east-1".into(),
            init_dir: None,
            memory_limit: Limit::default(),
            request_bytes_max: 20 << 20,
            object_bytes_max: 5 << 30,
            notes: Vec::new(),
        }
    }
}

impl Settings {
    /// The durability in force: `none` without a data directory, else `process`
    /// unless `power` was asked for.
    pub(crate) fn durability(&self) -> Durability {
        match (&self.data_dir, self.durability) {
            (None, _) => Durability::None,
            (Some(_), chosen) => chosen.unwrap_or(Durability::Process),
        }
    }
}

impl Settings {
    /// Whether `service` answers.
    pub(crate) fn answers(&self, service: &str) -> bool {
        self.services
            .as_ref()
            .is_none_or(|services| services.iter().any(|name| name == service))
    }

    /// Whether the state of `service` is kept.
    pub(crate) fn keeps(&self, service: &str) -> bool {
        let is_kept = |name: &String| keeper(name) == keeper(service);
        let chosen = self
            .persist
            .as_ref()
            .is_none_or(|services| services.iter().any(is_kept));
        self.data_dir.is_some() && chosen
    }
}

/// How the names of our own variables begin.
const OURS: &str = "CUMULOG_";

struct Setting {
    flag: &'static str,
    value: &'static str,
    environment: &'static [&'static str],
    help: &'static str,
    apply: fn(&mut Settings, &str) -> Result<(), String>,
}

const SETTINGS: &[Setting] = &[
    Setting {
        flag: "host",
        value: "ADDRESS",
        environment: &["KUMO_HOST", "CUMULOG_HOST"],
        help: "Address to listen on; a container wants 0.0.0.0 [127.0.0.1]",
        apply: |settings, text| {
            settings.host = text.to_owned();
            Ok(())
        },
    },
    Setting {
        flag: "port",
        value: "PORT",
        environment: &["KUMO_PORT", "CUMULOG_PORT"],
        help: "Port to listen on; 0 picks a free one and prints it [4566]",
        apply: |settings, text| {
            parse(text, "a port number from 0 to 65535").map(|port| settings.port = port)
        },
    },
    Setting {
        flag: "data-dir",
        value: "PATH",
        environment: &["KUMO_DATA_DIR", "CUMULOG_DATA_DIR"],
        help: "Keep all state in this directory; without it, state lives in memory only",
        apply: |settings, text| {
            settings.data_dir = Some(PathBuf::from(text));
            Ok(())
        },
    },
    Setting {
        flag: "durability",
        value: "LEVEL",
        environment: &["CUMULOG_DURABILITY"],
        help: "With a data directory: `process` survives kill -9, `power` also power loss [process]",
        apply: |settings, text| {
            settings.durability = Some(match text {
                "process" => Durability::Process,
                "power" => Durability::Power,
                _ => return Err(format!("`{text}` is not one of process, power")),
            });
            Ok(())
        },
    },
    Setting {
        flag: "persist",
        value: "SERVICES",
        environment: &["CUMULOG_PERSIST"],
        help: "Of the data directory's services keep only these, e.g. s3,dynamodb; others start empty [all]",
        apply: |settings, text| {
            service_list(text).map(|services| settings.persist = Some(services))
        },
    },
    Setting {
        flag: "services",
        value: "SERVICES",
        environment: &["CUMULOG_SERVICES"],
        help: "Answer for these services only [all]",
        apply: |settings, text| {
            service_list(text).map(|services| settings.services = Some(services))
        },
    },
    Setting {
        flag: "log",
        value: "LEVEL",
        environment: &["KUMO_LOG_LEVEL", "CUMULOG_LOG"],
        help: "debug, info (every request), warn, error or off, on standard error [info]",
        apply: |settings, text| text.parse().map(|level| settings.log = level),
    },
    Setting {
        flag: "region",
        value: "REGION",
        environment: &["AWS_DEFAULT_REGION", "CUMULOG_REGION"],
        help: "Region of requests that name none [us-east-1]",
        apply: |settings, text| {
            let valid = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
            if text.is_empty() || !text.chars().all(valid) {
                return Err(format!("`{text}` is not the name of a region"));
            }
            settings.region = text.to_owned();
            Ok(())
        },
    },
    Setting {
        flag: "init-dir",
        value: "PATH",
        environment: &["KUMO_INIT_DIR", "CUMULOG_INIT_DIR"],
        help: "Run the *.sh files of this directory, in order, once the server listens",
        apply: |settings, text| {
            settings.init_dir = Some(PathBuf::from(text));
            Ok(())
        },
    },
    Setting {
        flag: "memory-limit",
        value: "SIZE",
        environment: &["CUMULOG_MEMORY_LIMIT"],
        help: "Memory that the state may take, e.g. 512MiB or 25%; beyond it only deletes succeed [50%]",
        apply: |settings, text| text.parse().map(|limit| settings.memory_limit = limit),
    },
    Setting {
        flag: "request-bytes-max",
        value: "BYTES",
        environment: &["CUMULOG_REQUEST_BYTES_MAX"],
        help: "Largest request body that is not a streamed object [20971520]",
        apply: |settings, text| {
            parse(text, "a number of bytes").map(|bytes| settings.request_bytes_max = bytes)
        },
    },
    Setting {
        flag: "object-bytes-max",
        value: "BYTES",
        environment: &["CUMULOG_OBJECT_BYTES_MAX"],
        help: "Largest object that one S3 PUT may carry [5368709120]",
        apply: |settings, text| {
            parse(text, "a number of bytes").map(|bytes| settings.object_bytes_max = bytes)
        },
    },
];

/// Settings of kumo that mean nothing here. Named at start, so that nobody believes
/// they work. A star stands for any end.
const WITHOUT_EFFECT: &[(&str, &str)] = &[
    (
        "KUMO_PERSIST_FLUSH_INTERVAL_MS",
        "every acknowledged write is already durable",
    ),
    ("KUMO_PPROF", "there is no Go profile to serve"),
    ("KUMO_PPROF_ADDR", "there is no Go profile to serve"),
    ("KUMO_RDS_BACKEND", "RDS is not emulated"),
    ("KUMO_RDS_ENDPOINT_*", "RDS is not emulated"),
    ("KUMO_LAMBDA_EXECUTOR", "Lambda is not emulated"),
    ("KUMO_LATENCY_CONFIG", "latency is not injected"),
    ("KUMO_CHAOS_ENABLED", "faults are not injected"),
];

/// Reads the command line and the environment.
pub(crate) fn read(
    arguments: impl IntoIterator<Item = OsString>,
    environment: impl IntoIterator<Item = (OsString, OsString)>,
) -> Result<Settings, UsageError> {
    let mut settings = Settings::default();
    read_environment(&mut settings, &environment.into_iter().collect())?;
    let mut parser = lexopt::Parser::from_args(arguments);
    let refused = |error: lexopt::Error| usage(error.to_string());
    while let Some(argument) = parser.next().map_err(refused)? {
        match argument {
            lexopt::Arg::Long(flag) => {
                let known = SETTINGS.iter().find(|setting| setting.flag == flag);
                let setting = known.ok_or_else(|| {
                    let flags = SETTINGS.iter().map(|setting| setting.flag);
                    cli::unknown_option(flag, flags, "serve")
                })?;
                let value = parser.value().map_err(refused)?;
                let value = value.to_str().ok_or_else(|| {
                    usage(format!("the value of --{} is not UTF-8", setting.flag))
                })?;
                let source = format!("--{}", setting.flag);
                apply(setting, &mut settings, &source, value)?;
            }
            // The only command that may stand behind its options.
            lexopt::Arg::Value(word) if word == "serve" => {}
            lexopt::Arg::Value(word) => {
                let text = format!("unexpected argument `{}`", word.to_string_lossy());
                let hint = "a command stands before its options: `cumulog verify DIR --json`";
                return Err(UsageError::new(text, hint));
            }
            other => return Err(refused(other.unexpected())),
        }
    }
    check(settings)
}

/// What makes no sense, and where to find what does.
fn usage(text: impl Into<String>) -> UsageError {
    UsageError::new(text, "`cumulog --help` lists all options")
}

fn read_environment(
    settings: &mut Settings,
    environment: &BTreeMap<OsString, OsString>,
) -> Result<(), UsageError> {
    for setting in SETTINGS {
        for name in setting.environment {
            let value = environment.get(OsStr::new(name));
            let Some(value) = value.filter(|value| !value.is_empty()) else {
                continue;
            };
            let applied = match value.to_str() {
                Some(value) => apply(setting, settings, name, value),
                None => Err(usage(format!("{name}: the value is not UTF-8"))),
            };
            match applied {
                // Other programs' names are taken where they make sense, never a reason not to start.
                Err(error) if !name.starts_with(OURS) || is_service_link(value) => {
                    settings.notes.push(format!("ignored: {}", error.text))
                }
                applied => applied?,
            }
        }
    }
    let names = environment.keys().filter_map(|name| name.to_str());
    settings.notes.extend(names.filter_map(note));
    Ok(())
}

/// Kubernetes gives every pod the address of each service: one called `cumulog` sets
/// `CUMULOG_PORT=tcp://…`.
fn is_service_link(value: &OsStr) -> bool {
    value
        .to_str()
        .is_some_and(|text| text.starts_with("tcp://"))
}

/// What to tell of a variable that looks like a setting and has no effect.
fn note(name: &str) -> Option<String> {
    let without_effect = WITHOUT_EFFECT
        .iter()
        .find(|(known, _)| match known.strip_suffix('*') {
            Some(prefix) => name.starts_with(prefix),
            None => name == *known,
        });
    if let Some((_, why)) = without_effect {
        return Some(format!("{name} has no effect: {why}"));
    }
    let rest = name.strip_prefix(OURS).or(name.strip_prefix("KUMO_"))?;
    let known = SETTINGS
        .iter()
        .any(|setting| setting.environment.contains(&name));
    let service_link = rest.starts_with("SERVICE_") || rest.starts_with("PORT_");
    (!known && !service_link).then(|| format!("{name} has no effect: there is no such setting"))
}

fn apply(
    setting: &Setting,
    settings: &mut Settings,
    source: &str,
    value: &str,
) -> Result<(), UsageError> {
    (setting.apply)(settings, value).map_err(|error| usage(format!("{source}: {error}")))
}

fn check(settings: Settings) -> Result<Settings, UsageError> {
    let needs_directory = |flag: &str| {
        let text = format!("--{flag} needs a data directory");
        Err(UsageError::new(text, "add `--data-dir PATH`"))
    };
    match &settings.data_dir {
        None if settings.durability.is_some() => needs_directory("durability"),
        None if settings.persist.is_some() => needs_directory("persist"),
        _ => Ok(settings),
    }
}

fn parse<T: std::str::FromStr>(text: &str, expected: &str) -> Result<T, String> {
    text.parse()
        .map_err(|_| format!("`{text}` is not {expected}"))
}

fn service_list(text: &str) -> Result<Vec<String>, String> {
    let services: Vec<String> = text
        .split(',')
        .map(str::trim)
        .filter(|name| !name.is_empty())
        .map(|name| {
            let name = name.to_ascii_lowercase();
            match crate::services::NAMES.contains(&name.as_str()) {
                true => Ok(name),
                false => Err(format!(
                    "`{name}` is not one of {}",
                    crate::services::NAMES.join(", ")
                )),
            }
        })
        .collect::<Result<_, _>>()?;
    match services.is_empty() {
        true => Err(format!("`{text}` names no service")),
        false => Ok(services),
    }
}

/// The settings, for help.
pub(crate) fn describe() -> String {
    let mut text = String::from("Options of serve (flag, environment, default):\n");
    for setting in SETTINGS {
        let flag = format!("--{} <{}>", setting.flag, setting.value);
        let environment = setting.environment.last().unwrap_or(&"");
        writeln!(text, "  {flag:<29} {environment}\n      {}", setting.help)
            .expect("a String takes all that is written");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_with(arguments: &[&str], environment: &[(&str, &str)]) -> Result<Settings, String> {
        let environment = environment
            .iter()
            .map(|(name, value)| (name.into(), value.into()));
        read(arguments.iter().map(OsString::from), environment).map_err(|error| error.text)
    }

    #[test]
    fn flags_win_over_our_names_and_those_over_others() {
        let all = [("KUMO_PORT", "1"), ("CUMULOG_PORT", "2")];
        assert_eq!(read_with(&[], &all[..1]).unwrap().port, 1);
        assert_eq!(read_with(&[], &all).unwrap().port, 2);
        assert_eq!(read_with(&["--port", "3"], &all).unwrap().port, 3);
        assert_eq!(read_with(&["--port=3"], &[]).unwrap().port, 3);
    }

    #[test]
    fn a_bad_foreign_name_is_noted_and_a_bad_own_one_refused() {
        let settings = read_with(&[], &[("KUMO_PORT", "x"), ("KUMO_PPROF", "1")]).unwrap();
        assert_eq!(settings.port, 4566);
        assert_eq!(settings.notes.len(), 2, "{:?}", settings.notes);
        let error = read_with(&[], &[("CUMULOG_PORT", "x")]).unwrap_err();
        assert_eq!(
            error,
            "CUMULOG_PORT: `x` is not a port number from 0 to 65535"
        );
    }

    #[test]
    fn a_variable_without_effect_is_told() {
        let check = |name, expected: &[&str]| {
            let notes = read_with(&[], &[(name, "tcp://10.0.0.1:4566")])
                .unwrap()
                .notes;
            assert_eq!(notes.len(), expected.len(), "{name}: {notes:?}");
            for (note, expected) in notes.iter().zip(expected) {
                assert!(note.contains(expected), "{note}");
            }
        };
        check("CUMULOG_DATADIR", &["CUMULOG_DATADIR has no effect"]);
        check("KUMO_FUTURE", &["KUMO_FUTURE has no effect"]);
        check("KUMO_RDS_ENDPOINT_PORT", &["RDS is not emulated"]);
        check("KUMO_RDS_ENDPOINT_ADDRESS_MYSQL", &["RDS is not emulated"]);
        // What Kubernetes sets for a service of our name must not keep us from starting.
        check("CUMULOG_PORT", &["ignored: CUMULOG_PORT"]);
        check("CUMULOG_SERVICE_HOST", &[]);
        check("CUMULOG_PORT_4566_TCP_ADDR", &[]);
        check("PATH", &[]);
    }

    #[cfg(unix)]
    #[test]
    fn a_value_that_is_no_text_is_refused() {
        use std::os::unix::ffi::OsStrExt as _;
        let value = OsStr::from_bytes(b"/data\xff").to_owned();
        let error = read([], [("CUMULOG_DATA_DIR".into(), value)]).unwrap_err();
        assert_eq!(error.text, "CUMULOG_DATA_DIR: the value is not UTF-8");
    }

    #[test]
    fn nonsense_is_refused_by_name() {
        let check = |arguments: &[&str], expected: &str| {
            let error = read_with(arguments, &[]).unwrap_err();
            assert!(error.contains(expected), "{error}");
        };
        check(&["--prot", "1"], "unknown option `--prot`");
        check(&["--durability", "power"], "needs a data directory");
        check(
            &["--data-dir", "d", "--durability", "always"],
            "`always` is not one of process, power",
        );
        check(&["--services", "s3,sqz"], "`sqz` is not one of");
        check(&["--services", " ,"], "` ,` names no service");
        check(&["--port", "3", "verify"], "unexpected argument `verify`");
        check(&["--port"], "missing argument");
    }

    #[test]
    fn durability_follows_the_data_directory() {
        assert_eq!(read_with(&[], &[]).unwrap().durability(), Durability::None);
        assert_eq!(
            read_with(&["--data-dir", "d"], &[]).unwrap().durability(),
            Durability::Process
        );
        let power = read_with(&["--data-dir", "d", "--durability", "power"], &[]).unwrap();
        assert_eq!(power.durability(), Durability::Power);
    }
}
