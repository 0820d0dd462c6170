//! The flags: the names, values and defaults of AWS's Python sample.
//!
//! Every value is checked here, so that a mistake ends with exit code 2 and a word on what is
//! allowed, before anything is read or sent.

use std::ffi::OsString;
use std::io::{self, Write};
use std::path::PathBuf;
use std::process;
use std::time::Duration;

use clap::error::ErrorKind;
use clap::parser::ValueSource;
use clap::{CommandFactory, FromArgMatches, Parser, ValueEnum};
use uuid::Uuid;

use crate::text::{is_printable, printable};

mod values;

use values::{client_id, endpoint, host, host_and_port, mqtt_version, port, seconds, thing_name};

/// AWS IoT Jobs over MQTT5: describes the job executions that wait for a thing, starts each, does
/// (simulated) work, and marks it SUCCEEDED
#[derive(Debug, Clone, Parser)]
#[command(
    version,
    rename_all = "snake_case",
    infer_long_args = true,
    after_help = "Example:\n  jobs-mqtt5 --endpoint a1b2c3d4e5f6g7-ats.iot.us-east-1.amazonaws.com \\\n      \
                  --cert device.pem.crt --key private.pem.key --thing_name my-thing\n\n\
                  Exit codes: 0 ended as asked, 1 failed, 2 wrong usage."
)]
pub struct Flags {
    /// AWS IoT Core endpoint of your account (`aws iot describe-endpoint --endpoint-type
    /// iot:Data-ATS` prints it); HOST:PORT is taken as well
    #[arg(long, value_name = "HOST", value_parser = endpoint)]
    pub endpoint: String,

    /// The device's certificate, PEM; certificates of its chain may follow in the same file
    #[arg(long, value_name = "FILE")]
    pub cert: PathBuf,

    /// The certificate's private key, PEM: PKCS#8, PKCS#1 (RSA) or SEC1 (EC)
    #[arg(long, value_name = "FILE")]
    pub key: PathBuf,

    /// CA certificates to trust instead of the system's, PEM
    #[arg(long, alias = "ca-file", value_name = "FILE")]
    pub ca_file: Option<PathBuf>,

    /// Name of the thing whose jobs are to be done
    #[arg(long, alias = "thing-name", value_name = "NAME", value_parser = thing_name)]
    pub thing_name: String,

    /// MQTT client ID; the sample policy allows test-* [default: test- and a fresh UUID]
    // A fresh one, so that two runs on one desk do not take each other's connection over.
    #[arg(long, alias = "client-id", value_name = "ID", value_parser = client_id)]
    #[arg(default_value_t = format!("test-{}", Uuid::new_v4()), hide_default_value = true)]
    pub client_id: String,

    // (Negative numbers are allowed so that the mistake is in the value, not in a flag -1.)
    /// Port of the endpoint: 8883, or 443 (with the ALPN name that AWS wants there)
    #[arg(long, value_parser = port)]
    #[arg(default_value_t = 8883, allow_negative_numbers = true)]
    pub port: u16,

    /// How long the simulated work on a job lasts, in whole seconds
    #[arg(long, alias = "job-time", value_name = "SECONDS", value_parser = seconds)]
    #[arg(default_value_t = 5, allow_negative_numbers = true)]
    pub job_time: u32,

    /// HTTP proxy to go through (CONNECT)
    #[arg(long, alias = "proxy-host", value_name = "HOST", value_parser = host)]
    pub proxy_host: Option<String>,

    /// Port of the HTTP proxy
    #[arg(long, alias = "proxy-port", value_name = "PORT", value_parser = port)]
    #[arg(default_value_t = 8080, allow_negative_numbers = true)]
    pub proxy_port: u16,

    /// File with `user:password` for the HTTP proxy
    #[arg(
        long,
        alias = "proxy-auth",
        value_name = "FILE",
        requires = "proxy_host"
    )]
    pub proxy_auth: Option<PathBuf>,

    /// How much to log, on stderr
    #[arg(long, value_name = "LEVEL", ignore_case = true)]
    #[arg(value_enum, default_value_t)]
    pub verbosity: Verbosity,

    /// Begin each line with the time (UTC)
    #[arg(long)]
    pub timestamps: bool,

    /// CI mode, whatever the value: list the pending jobs, and end (0 if there is one, 1 if not)
    #[arg(long, alias = "is-ci", value_name = "ANY")]
    #[arg(num_args = 0..=1, default_missing_value = "true")]
    pub is_ci: Option<String>,

    /// MQTT version: 5, the only one here
    #[arg(long, alias = "mqtt-version", value_name = "VERSION")]
    #[arg(value_parser = mqtt_version, default_value = "5")]
    pub mqtt_version: u8,
}

impl Flags {
    /// The flags of this process. Wrong usage, `--help` and `--version` end it here.
    pub fn of_this_process() -> Self {
        Self::from_arguments(std::env::args_os()).unwrap_or_else(|error| {
            let mut arguments = std::env::args_os();
            if arguments.all(|argument| is_printable(&argument.to_string_lossy())) {
                error.exit();
            }
            // clap shows a value as it is given.
            for line in error.to_string().lines() {
                let _ = writeln!(io::stderr(), "{}", printable(line));
            }
            process::exit(error.exit_code())
        })
    }

    /// The flags among these arguments; the first is the program's name.
    ///
    /// # Errors
    /// For wrong usage, `--help` and `--version`.
    pub fn from_arguments<A>(arguments: impl IntoIterator<Item = A>) -> Result<Self, clap::Error>
    where
        A: Into<OsString> + Clone,
    {
        let matches = Self::command().try_get_matches_from(arguments)?;
        let mut flags = Self::from_arg_matches(&matches)?;
        // (What clap says of a value that it does not take has the value in it.)
        for (flag, value) in [
            ("--endpoint", Some(&flags.endpoint)),
            ("--proxy_host", flags.proxy_host.as_ref()),
        ] {
            if value.is_some_and(|value| value.contains('@')) {
                let words = format!(
                    "{flag} takes a host name alone, without a user name and a password before it; \
                     those for a proxy come from a file (--proxy_auth)"
                );
                return Err(Self::command().error(ErrorKind::ValueValidation, words));
            }
        }
        if let Some((host, port)) = host_and_port(&flags.endpoint) {
            let given = matches.value_source("port") == Some(ValueSource::CommandLine);
            if given && port != flags.port {
                return Err(Self::command().error(
                    ErrorKind::ArgumentConflict,
                    format!(
                        "--endpoint has the port {port}, and --port is {}",
                        flags.port
                    ),
                ));
            }
            (flags.endpoint, flags.port) = (host.to_owned(), port);
        }
        Ok(flags)
    }

    /// How long the simulated work on a job lasts.
    pub fn job_time(&self) -> Duration {
        Duration::from_secs(self.job_time.into())
    }
}

/// How much is logged, in the words of AWS's SDKs.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
#[value(rename_all = "PascalCase")]
#[allow(missing_docs)] // the names say it
pub enum Verbosity {
    #[default]
    NoLogs,
    Fatal,
    Error,
    Warn,
    Info,
    Debug,
    Trace,
}

#[cfg(test)]
mod tests {
    use super::*;

    const NEEDED: [&str; 9] = [
        "jobs-mqtt5",
        "--endpoint",
        "example.com",
        "--cert",
        "c",
        "--key",
        "k",
        "--thing_name",
        "t",
    ];

    fn parse(more: &[&str]) -> Result<Flags, clap::Error> {
        Flags::from_arguments(NEEDED.iter().chain(more))
    }

    #[test]
    fn the_flags_fit_together() {
        Flags::command().debug_assert();
    }

    #[test]
    fn the_defaults_are_those_of_the_python_sample() {
        let flags = parse(&[]).unwrap();
        assert_eq!(
            (flags.port, flags.job_time, flags.proxy_port),
            (8883, 5, 8080)
        );
        assert_eq!(
            (flags.mqtt_version, flags.verbosity),
            (5, Verbosity::NoLogs)
        );
        assert_eq!(
            (flags.ca_file, flags.proxy_host, flags.is_ci),
            (None, None, None)
        );
        let uuid = flags.client_id.strip_prefix("test-").unwrap();
        assert!(Uuid::parse_str(uuid).is_ok());
    }

    #[test]
    fn hyphens_and_unique_prefixes_are_understood() {
        let flags = parse(&["--job-time", "7", "--proxy-host", "p", "--is-ci", "true"]).unwrap();
        assert_eq!(
            (flags.job_time, flags.proxy_host.as_deref()),
            (7, Some("p"))
        );
        let short = [
            "jobs-mqtt5",
            "--end",
            "h",
            "--cert",
            "c",
            "--k",
            "k",
            "--thing",
            "t",
            "--job",
            "1",
        ];
        let flags = Flags::from_arguments(short).unwrap();
        assert_eq!(
            (
                flags.endpoint.as_str(),
                flags.thing_name.as_str(),
                flags.job_time
            ),
            ("h", "t", 1)
        );
        assert!(
            parse(&["--c", "x"]).is_err(),
            "--cert, --ca_file or --client_id?"
        );
    }
}
