//! A job document, as the text that it came as.

use std::fmt;

use serde::Deserialize;
use serde::de::{DeserializeOwned, Error as _};
use serde_json::value::RawValue;

use crate::text::{printable, without_signatures};

/// A job document: what to do, as whoever made the job wrote it. JSON of up to 32 KiB.
///
/// It is kept as the text it came as, because not every JSON text can be read as values (a lone
/// surrogate, a number beyond a double, a thousand levels of brackets), and no document may stop the
/// queue. Whoever wants values of it asks for them, and gets an error where there are none.
#[derive(Clone, Default, Deserialize)]
#[serde(transparent)]
pub struct JobDocument(Option<Box<RawValue>>);

impl JobDocument {
    /// The document as it came; `null` if the reply had none.
    pub fn text(&self) -> &str {
        self.0.as_ref().map_or("null", |document| document.get())
    }

    /// The document as a type of yours.
    ///
    /// # Errors
    /// If it does not have the form of that type, or can't be read at all.
    pub fn read<T: DeserializeOwned>(&self) -> Result<T, serde_json::Error> {
        // Its own words quote what was found instead: that may be a URL.
        serde_json::from_str(self.text()).map_err(|error: serde_json::Error| {
            serde_json::Error::custom(without_signatures(&error.to_string()))
        })
    }
}

impl PartialEq for JobDocument {
    fn eq(&self, other: &Self) -> bool {
        self.text() == other.text()
    }
}

impl fmt::Display for JobDocument {
    /// Printable, and without what signs a presigned URL; as it came, it is [`Self::text`].
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&printable(&without_signatures(self.text())))
    }
}

impl fmt::Debug for JobDocument {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
