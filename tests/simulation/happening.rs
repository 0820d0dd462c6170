//! What happens to a device from outside.

use std::fmt;
use std::time::Duration;

use crate::network::{Address, Link, Trouble};
use crate::work::Document;

/// One thing that happens.
#[derive(Debug, Clone)]
pub enum Happening {
    Cloud(Cloud),
    Service(Service),
    Network(Network),
    Device(Device),
}

/// What people, or other programs, do in the cloud. A number picks the job: see [`Pick`].
#[derive(Debug, Clone)]
pub enum Cloud {
    Create {
        document: Document,
        timeout_minutes: Option<u64>,
    },
    Cancel(Pick),
    TimeOut(Pick),
    TimeOutAndRetry(Pick),
    /// Everything that is FAILED or TIMED_OUT is tried again.
    RetryAll,
    Delete(Pick),
    /// Deleted, and created anew under the same name.
    DeleteAndCreate(Pick, Document),
    /// Its status details are changed.
    Touch(Pick),
    /// A reply comes that belongs to nobody's request.
    ForeignReply(Pick),
    /// This many commands are published at once.
    Commands(u32),
}

/// Which of the jobs that are pending: the first in line or one of those behind it.
#[derive(Debug, Clone, Copy)]
pub struct Pick(pub usize);

/// What goes wrong with the service, or is changed there.
#[derive(Debug, Clone)]
pub enum Service {
    /// A fault of `local_iot_core`, once.
    Fault(String),
    /// Every request of an operation is refused, until further notice.
    Throttles(&'static str),
    ThrottlesNoMore,
    /// The policy denies an action, or nothing any more.
    Policy(Option<Denial>),
    /// It goes down. (It comes back with [`Service::ComesBack`].)
    GoesDown {
        keeps_sessions: bool,
    },
    ComesBack,
    LosesSessions,
    /// The connections go. The sessions stay, without what was subscribed to.
    ForgetsSubscriptions,
    /// It throws every client out, with this reason code.
    Disconnects(u8),
    /// Its clock is turned.
    TurnsClock {
        seconds: i64,
    },
}

/// What a policy denies for a while: an action on the topics, or client IDs, with this ending.
#[derive(Debug, Clone, Copy)]
pub struct Denial {
    pub action: &'static str,
    pub resource: &'static str,
}

#[derive(Debug, Clone)]
pub enum Network {
    Trouble(Trouble),
    /// What the way is like from now on; `None`: as it was at first.
    Link(Option<Link>),
    Addresses([Address; 2]),
}

#[derive(Debug, Clone)]
pub enum Device {
    /// Its process is gone in the middle of whatever it did, and starts anew after this time.
    Crash { power_cut: bool, off: Duration },
    /// Its process is told to stop; a supervisor starts it anew.
    Restart,
    /// The whole machine stands still: every timer is late.
    Freeze(Duration),
    /// Its process stands still as soon as it has sent something, and the answer comes meanwhile.
    StandStill(Duration),
    /// It publishes this many readings at once.
    Burst(u32),
}

impl fmt::Display for Happening {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cloud(cloud) => write!(f, "cloud: {cloud}"),
            Self::Service(service) => write!(f, "service: {service}"),
            Self::Network(network) => write!(f, "network: {network}"),
            Self::Device(device) => write!(f, "device: {device}"),
        }
    }
}

impl fmt::Display for Cloud {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Create { .. } => write!(f, "creates a job"),
            Self::Cancel(pick) => write!(f, "cancels {pick}"),
            Self::TimeOut(pick) => write!(f, "lets {pick} time out"),
            Self::TimeOutAndRetry(pick) => write!(f, "lets {pick} time out, and retries it"),
            Self::RetryAll => write!(f, "retries what is FAILED or TIMED_OUT"),
            Self::Delete(pick) => write!(f, "deletes {pick}"),
            Self::DeleteAndCreate(pick, _) => write!(f, "deletes {pick} and creates it anew"),
            Self::Touch(pick) => write!(f, "changes the status details of {pick}"),
            Self::ForeignReply(pick) => write!(f, "a reply about {pick} that nobody asked for"),
            Self::Commands(count) => write!(f, "publishes {count} commands at once"),
        }
    }
}

impl fmt::Display for Pick {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the job that is number {} in line", self.0 + 1)
    }
}

impl fmt::Display for Service {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Fault(fault) => write!(f, "the next occasion has the fault '{fault}'"),
            Self::Throttles(operation) => write!(f, "throttles '{operation}'"),
            Self::ThrottlesNoMore => write!(f, "throttles no more"),
            Self::Policy(Some(denial)) => {
                write!(
                    f,
                    "the policy denies {} on {}",
                    denial.action, denial.resource
                )
            }
            Self::Policy(None) => write!(f, "the policy is as it was"),
            Self::GoesDown { keeps_sessions } => {
                let sessions = if *keeps_sessions { "keeps" } else { "loses" };
                write!(f, "goes down, and {sessions} the sessions")
            }
            Self::ComesBack => write!(f, "is back"),
            Self::LosesSessions => write!(f, "loses the sessions"),
            Self::ForgetsSubscriptions => write!(f, "forgets what was subscribed to"),
            Self::Disconnects(code) => write!(f, "sends DISCONNECT 0x{code:02x} to everybody"),
            Self::TurnsClock { seconds } => write!(f, "its clock is turned by {seconds} s"),
        }
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Trouble(trouble) => write!(f, "{trouble:?}"),
            Self::Link(Some(link)) => write!(f, "the way is {link:?}"),
            Self::Link(None) => write!(f, "the way is as it was"),
            Self::Addresses(addresses) => write!(f, "the two addresses: {addresses:?}"),
        }
    }
}

impl fmt::Display for Device {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Crash { power_cut, off } => {
                let what = if *power_cut { "loses power" } else { "crashes" };
                write!(f, "{what}, for {} s", off.as_secs())
            }
            Self::Restart => write!(f, "is told to stop"),
            Self::Freeze(time) => write!(f, "stands still for {:.1} s", time.as_secs_f64()),
            Self::StandStill(time) => {
                let seconds = time.as_secs_f64();
                write!(f, "its process stands still for {seconds:.1} s")
            }
            Self::Burst(publishes) => write!(f, "publishes {publishes} readings at once"),
        }
    }
}
