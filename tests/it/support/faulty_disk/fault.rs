//! What can go wrong at one step on a disk.

use std::io::ErrorKind;

/// What goes wrong at one step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The program is killed: before, in the middle of a write (else before as well), or after the step.
    Kill(Moment),
    /// The power is cut, at the same moments: what was not synced is lost.
    PowerCut(Moment),
    /// The power is cut before the step, and of what was not synced the names survive, the content not:
    /// the empty file of old.
    NamesOnly,
    /// An error, this once: with nothing done, or although it was done.
    Error(ErrorKind, Moment),
    /// From here on there is no space: what writes fails, until the disk is mended.
    Full,
    /// From here on nothing can be changed, until the disk is mended.
    ReadOnly,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moment {
    Before,
    Middle,
    After,
}

impl Fault {
    /// All that can go wrong at a step.
    pub fn all() -> Vec<Self> {
        use Moment::{After, Before, Middle};
        let mut all = vec![Self::NamesOnly, Self::Full, Self::ReadOnly];
        for moment in [Before, Middle, After] {
            all.extend([Self::Kill(moment), Self::PowerCut(moment)]);
        }
        for kind in [ErrorKind::Other, ErrorKind::StorageFull] {
            all.push(Self::Error(kind, Before));
        }
        all.push(Self::Error(ErrorKind::StorageFull, Middle));
        all.push(Self::Error(ErrorKind::Other, After));
        all
    }
}
