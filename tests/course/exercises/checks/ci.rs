//! For CI, and not for the reader: `cargo test -p exercises ci::`.

use crate::{cancel, checkpoint, policy, progress, refuse, repeatable};
use crate::{exercises, in_runtime, solutions};

/// What the six checks say, side by side.
macro_rules! check_all {
    ($work:ident) => {
        in_runtime(async {
            let said = tokio::join!(
                refuse::check($work::refuse::work),
                progress::check($work::progress::work),
                checkpoint::check($work::checkpoint::work),
                cancel::check($work::cancel::work),
                repeatable::check($work::repeatable::work),
                policy::check($work::POLICY),
            );
            [said.0, said.1, said.2, said.3, said.4, said.5]
        })
    };
}

#[test]
fn every_solution_is_done() {
    let said = check_all!(solutions);
    assert!(said.iter().all(Result::is_ok), "{said:#?}");
}

/// As they are committed. (Who has done one has this test fail.)
#[test]
fn every_exercise_fails_for_its_reason() {
    let reasons = [
        "'make-coffee' ended SUCCEEDED",
        "heard nothing of it",
        "the cups [1, 2, 3] were brewed, and after it [1, 2, 3, 4]",
        "the valve is still open",
        r#""attic\ncellar\nkitchen\nkitchen\n" when the next run"#,
        "refused the subscription",
    ];
    for (said, reason) in check_all!(exercises).into_iter().zip(reasons) {
        let said = said.expect_err(reason);
        assert!(said.contains(reason), "{said}");
    }
}
