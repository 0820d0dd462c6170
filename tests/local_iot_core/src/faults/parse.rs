//! Reads a fault as it is written.

use std::{str::FromStr, time::Duration};

use mqtt_protocol_core::mqtt::result_code::{
    ConnectReasonCode, DisconnectReasonCode, PubackReasonCode, SubackReasonCode,
};

use super::{names::Fault, on::On};
use crate::jobs::Operation;

impl FromStr for Fault {
    type Err = String;

    fn from_str(text: &str) -> Result<Fault, String> {
        let mut words = Words {
            text,
            words: text.split_whitespace(),
        };
        let name = words.next("a fault")?;
        let fault = match name {
            "drop-after-accept" => Fault::DropAfterAccept,
            "no-tls-answer" => Fault::NoTlsAnswer,
            "not-tls" => Fault::NotTls,
            "drop-after-tls" => Fault::DropAfterTls,
            "no-connack" => Fault::NoConnack,
            "connack" => Fault::Connack(words.code(is_code::<ConnectReasonCode>)?),
            "connect-denied-closes" => Fault::ConnectDeniedCloses,
            "drop-after-connack" => Fault::DropAfterConnack,
            "session-lost" => Fault::SessionLost,
            "claim-session" => Fault::ClaimSession,
            "receive-maximum-0" => Fault::ReceiveMaximumZero,
            "no-pingresp" => Fault::NoPingresp,
            "no-suback" => Fault::NoSuback,
            "suback" => Fault::Suback(words.code(is_code::<SubackReasonCode>)?, words.part()),
            "no-puback" => Fault::NoPuback,
            "breach" => Fault::Breach(words.next("a breach such as second-connack")?.parse()?),
            "puback" => Fault::Puback(words.code(is_code::<PubackReasonCode>)?, words.part()),
            "disconnect" => Fault::Disconnect(words.code(is_code::<DisconnectReasonCode>)?),
            "drop-on-publish" => Fault::DropOnPublish,
            "pubacks-out-of-order" => Fault::PubacksOutOfOrder,
            "unreadable-delivery" => Fault::UnreadableDelivery(words.part()),
            "double-deliveries" => Fault::DoubleDeliveries,
            "lose-reply" => Fault::LoseReply(words.on()?),
            "late-reply" => Fault::LateReply(words.on()?, words.millis()?),
            "double-reply" => Fault::DoubleReply(words.on()?),
            "other-thing-reply" => Fault::OtherThingReply(words.on()?),
            "foreign-token-reply" => Fault::ForeignTokenReply(words.on_request(name)?),
            "no-token-reply" => Fault::NoTokenReply(words.on_request(name)?),
            "not-json-reply" => Fault::NotJsonReply(words.on()?),
            "wrong-shape-reply" => Fault::WrongShapeReply(words.on()?),
            "huge-reply" => Fault::HugeReply(words.on()?),
            "overtaken-reply" => Fault::OvertakenReply(words.on_request(name)?),
            "broken-execution" => {
                Fault::BrokenExecution(words.next("a job id")?.to_owned(), words.part())
            }
            "reject" => Fault::Reject(
                words.on_request(name)?,
                words.next("an error code")?.to_owned(),
            ),
            "drop-before" => Fault::DropBefore(words.on_request(name)?),
            "drop-after" => Fault::DropAfter(words.on_request(name)?),
            "drop-after-lost" => Fault::DropAfterLost(words.on_request(name)?),
            _ => return Err(format!("'{name}' is no fault")),
        };
        match words.words.next() {
            None => Ok(fault),
            Some(word) => Err(format!("'{text}': '{word}' is too much")),
        }
    }
}

/// Is this number one of the reason codes of the type?
fn is_code<T: TryFrom<u8>>(code: u8) -> bool {
    T::try_from(code).is_ok()
}

/// The words of a fault as it is written.
struct Words<'a> {
    text: &'a str,
    words: std::str::SplitWhitespace<'a>,
}

impl<'a> Words<'a> {
    fn next(&mut self, what: &str) -> Result<&'a str, String> {
        self.words
            .next()
            .ok_or_else(|| format!("'{}': {what} is missing", self.text))
    }

    fn part(&mut self) -> String {
        self.words.next().unwrap_or_default().to_owned()
    }

    fn code(&mut self, is_known: impl Fn(u8) -> bool) -> Result<u8, String> {
        let word = self.next("a reason code such as 0x87")?;
        let code = match word.strip_prefix("0x") {
            Some(hex) => u8::from_str_radix(hex, 16),
            None => word.parse(),
        };
        let known = code.ok().filter(|&code| is_known(code));
        known.ok_or_else(|| format!("'{}': '{word}' is no reason code here", self.text))
    }

    fn millis(&mut self) -> Result<Duration, String> {
        let word = self.next("a number of milliseconds")?;
        let millis = word.parse().map_err(|_| format!("'{word}' is no number"))?;
        Ok(Duration::from_millis(millis))
    }

    fn on(&mut self) -> Result<On, String> {
        self.next("an operation (or 'any')")?.parse()
    }

    /// As `on`, for a fault that only a request can meet.
    fn on_request(&mut self, name: &str) -> Result<On, String> {
        match self.on()? {
            On::Only(Operation::NotifyNext) => {
                Err(format!("'{name}' is for requests; notify-next is none"))
            }
            on => Ok(on),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{super::names::names, *};
    use crate::Times;

    #[test]
    fn every_name_is_read_and_written_alike() {
        for (name, _) in names() {
            for op in ["start-next", "update", "progress", "outcome", "any"] {
                let full = name
                    .replace("CODE", "0x87")
                    .replace("BREACH", "second-connack")
                    .replace("MILLIS", "250")
                    .replace("JOB", "job-1")
                    .replace(" OP", &format!(" {op}"))
                    .replace("ERROR", "RequestThrottled");
                let without_part = full.split(" [").next().unwrap();
                let with_part = full.replace(['[', ']'], "");
                for text in [without_part, &with_part] {
                    let fault: Fault = text.parse().unwrap();
                    assert_eq!(fault.to_string(), text);
                }
            }
        }
    }

    #[test]
    fn what_a_policy_that_is_edited_brings() {
        for text in [
            "connack 0x85",
            "connack 0x86",
            "connack 0x87",
            "puback 0x87 jobs/get",
            "suback 0x87 notify-next",
            "disconnect 0x87",
        ] {
            assert_eq!(text.parse::<Fault>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn what_is_no_fault() {
        for text in [
            "",
            "nonsense",
            "connack",
            "connack 0x01",
            "connack 300",
            "lose-reply",
            "lose-reply nothing",
            "late-reply any soon",
            "reject notify-next InternalError",
            "no-connack now",
            "breach",
            "breach of-trust",
        ] {
            assert!(text.parse::<Fault>().is_err(), "{text:?}");
        }
        assert_eq!("135".parse::<Times>(), Ok(Times::Count(135)));
        assert!("0".parse::<Times>().is_err());
    }
}
