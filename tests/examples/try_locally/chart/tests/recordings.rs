//! A run as one file.

use super::*;

#[tokio::test]
async fn a_recording_is_made_in_small_pieces() {
    let core = core().await;
    let chart = Chart::new(&core, &Options::default().policy);
    for n in 0..5_010 {
        core.journal().note(format!("</script>{n}"));
    }
    for n in 0..20 {
        core.journal().note(format!("{n}").repeat(100_000));
    }
    let mut recording = recording::Recording::new(&chart, true);
    core.journal().note("later");
    chart.catch_up();
    let pieces: Vec<String> = std::iter::from_fn(|| recording.next()).collect();
    let longest = pieces[2..].iter().map(String::len).max().unwrap(); // (behind the page itself)
    assert!(
        longest < 700_000,
        "the loop would wait for so much at one go: {longest}"
    );
    let whole = pieces.concat();
    let (_, data) = whole.split_once(r#"type="application/json">"#).unwrap();
    let (data, _) = data.split_once("</script>").unwrap();
    let moments: Vec<serde_json::Value> = serde_json::from_str(data).unwrap();
    assert_eq!(
        moments.len(),
        1 + 5_010 + 20,
        "what came later is another recording's"
    );
    assert_eq!(moments[5_010]["about"], "</script>5009");
}

#[tokio::test]
async fn a_recording_that_is_read_slowly_has_what_was_let_go_meanwhile() {
    let core = core().await;
    let chart = Chart::with_most(&core, &Options::default().policy, 100_000);
    let note = |n: usize| core.journal().note(format!("{n}").repeat(1_000));
    (1..10).for_each(note);
    let mut recording = recording::Recording::new(&chart, true);
    let first = recording.next().unwrap();
    (100..200).for_each(note);
    chart.catch_up();
    assert!(chart.gone() > 9);
    let whole: String = first + &std::iter::from_fn(|| recording.next()).collect::<String>();
    assert_eq!(whole.matches(r#""label":"note""#).count(), 9);
}

#[tokio::test]
async fn nothing_but_its_own_scripts_runs_in_a_recording() {
    let core = core().await;
    let chart = Chart::new(&core, &Options::default().policy);
    let mut recording = recording::Recording::new(&chart, true);
    let whole: String = std::iter::from_fn(|| recording.next()).collect();
    let (_, policy) = whole
        .split_once("Content-Security-Policy\" content=\"")
        .unwrap();
    let (policy, _) = policy.split_once('"').unwrap();
    for part in [
        "default-src 'none'",
        "base-uri 'none'",
        "form-action 'none'",
    ] {
        assert!(policy.contains(part), "{policy}");
    }
    assert!(!policy.contains("unsafe"), "{policy}");
    assert_eq!(
        policy.matches("'sha256-").count(),
        whole.matches("<script>").count() + 1
    );
    assert!(!whole.contains("<script src=") && !whole.contains("stylesheet"));
}
