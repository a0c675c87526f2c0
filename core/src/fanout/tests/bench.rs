//! What the executor itself costs.

use super::*;

/// `cargo test --release -p herder-core fanout::tests::bench -- --ignored --nocapture`
#[tokio::test(start_paused = true)]
#[ignore = "measures, and means something in a release build only"]
async fn cpu_of_ten_thousand_targets() {
    for (name, eager) in [("at the end", false), ("as completed", true)] {
        let setup = Setup::new(long_tailed(10_000, 1));
        #[expect(clippy::disallowed_methods, reason = "the machine's time is what is measured")]
        let start = std::time::Instant::now();
        let ran = if eager { setup.eager() } else { setup }.run().await;
        println!("{name}: {:?}, {:?}", start.elapsed(), ran.fake.calls());
        ran.is_counted_once();
    }
}
