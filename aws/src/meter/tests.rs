use std::sync::atomic::AtomicUsize;

use tokio::task::JoinSet;

use super::*;
use crate::call::Call;

fn key(api: &str) -> LimitKey {
    LimitKey::new("111122223333", "eu-central-1", api)
}

fn fails(kind: CallErrorKind, mutates: bool) -> CallError {
    let call = Call { mutates, ..Call::read("ssm", "SendCommand", "") };
    CallError::new(&call, kind, "no")
}

/// Makes a call whose attempts fail with `kind` until the given one succeeds; says how many were made.
async fn attempts(meter: &Meter, kind: CallErrorKind, mutates: bool, good: usize) -> (usize, bool) {
    let made = AtomicUsize::new(0);
    let key = key("SendCommand");
    let result = meter.run(&key, mutates, || {
        let n = made.fetch_add(1, Ordering::Relaxed) + 1;
        let result = if n == good { Ok(()) } else { Err(fails(kind.clone(), mutates)) };
        async move { result }
    });
    let done = result.await.is_ok();
    (made.load(Ordering::Relaxed), done)
}

#[tokio::test(start_paused = true)]
async fn what_is_safe_is_repeated_and_nothing_else() {
    use CallErrorKind::*;
    for (kind, mutates, good, expected) in [
        (Throttled, true, 20, (20, true)),
        (Throttled, false, 20, (20, true)),
        (Unreachable, true, 3, (3, true)),
        (Unreachable, true, 9, (3, false)),
        (Unreachable, false, 9, (3, false)),
        (Lost, false, 3, (3, true)),
        (Lost, false, 9, (3, false)),
        (Lost, true, 2, (1, false)),
        (ClockSkew, true, 2, (2, true)),
        (ClockSkew, true, 3, (2, false)),
        (Refused, false, 2, (1, false)),
        (NotFound, false, 2, (1, false)),
        (CredentialsExpired, false, 2, (1, false)),
        (AccessDenied { action: "a:b".into(), resource: None }, false, 2, (1, false)),
    ] {
        let meter = Meter::new(MeterOptions::default());
        assert_eq!(attempts(&meter, kind.clone(), mutates, good).await, expected, "{kind:?} {mutates}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_quota_that_lets_nothing_through_is_given_up() {
    let meter = Meter::new(MeterOptions::default());
    let begun = Instant::now();
    let (made, done) = attempts(&meter, CallErrorKind::Throttled, true, usize::MAX).await;
    assert!(!done);
    assert!((STARVED..STARVED + Duration::from_secs(30)).contains(&begun.elapsed()), "{:?}", begun.elapsed());
    assert!((50..300).contains(&made), "{made}");
    assert_eq!(meter.totals(), Totals { accepted: 0, throttled: made as u64, failed: 0 });
}

/// A quota of 10 calls a second and a burst of 10, on tokio's clock.
struct Quota(Mutex<(f64, Instant)>);

impl Quota {
    fn take(&self) -> bool {
        let mut state = locked(&self.0);
        let now = Instant::now();
        state.0 = (state.0 + now.duration_since(state.1).as_secs_f64() * 10.0).min(10.0);
        state.1 = now;
        let taken = state.0 >= 1.0;
        state.0 -= f64::from(u8::from(taken));
        taken
    }
}

#[tokio::test(start_paused = true)]
async fn hundreds_of_waiters_go_in_order_at_the_quotas_edge() {
    let notices = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&notices);
    let meter = Arc::new(Meter::new(MeterOptions {
        on_throttle: Some(Arc::new(move |notice| locked(&seen).push((Instant::now(), notice)))),
        ..MeterOptions::default()
    }));
    let quota = Arc::new(Quota(Mutex::new((10.0, Instant::now()))));
    let order = Arc::new(Mutex::new(Vec::new()));
    let begun = Instant::now();
    let mut tasks = JoinSet::new();
    for n in 0..200 {
        let (meter, quota, order) = (Arc::clone(&meter), Arc::clone(&quota), Arc::clone(&order));
        let work = async move {
            meter
                .run(&key("SendCommand"), true, || async {
                    locked(&order).push(n);
                    tokio::time::sleep(Duration::from_millis(60)).await;
                    let taken = quota.take();
                    tokio::time::sleep(Duration::from_millis(60)).await;
                    if taken { Ok(()) } else { Err(fails(CallErrorKind::Throttled, true)) }
                })
                .await
        };
        #[expect(clippy::disallowed_methods, reason = "a test of waiters needs waiters")]
        tasks.spawn(work);
    }
    while let Some(done) = tasks.join_next().await {
        done.unwrap().unwrap();
    }
    let took = begun.elapsed();
    assert!(took < Duration::from_millis(21_500), "ideal 19 s, took {took:?}");
    let Totals { accepted, throttled, failed } = meter.totals();
    assert_eq!((accepted, failed), (200, 0));
    assert!(throttled <= 10, "{throttled} throttled");

    // First come, first served; repeated attempts stand among them.
    let mut firsts = Vec::new();
    for n in locked(&order).iter() {
        if !firsts.contains(n) {
            firsts.push(*n);
        }
    }
    assert!(firsts.is_sorted(), "{firsts:?}");

    let notices = locked(&notices);
    assert!(!notices.is_empty() && notices.len() as u64 <= throttled);
    assert!(notices.windows(2).all(|pair| pair[1].0 - pair[0].0 >= NOTICE_EVERY));
    assert!(notices.iter().all(|(_, notice)| notice.rate > 5.0 && notice.rate < 20.0), "{notices:?}");
}

#[tokio::test(start_paused = true)]
async fn a_cancelled_call_gives_its_place_back() {
    let meter = Meter::new(MeterOptions::default());
    let key = key("ListCommands");
    for _ in 0..50 {
        let forever = meter.run(&key, false, std::future::pending::<Result<(), CallError>>);
        assert!(tokio::time::timeout(Duration::from_secs(1), forever).await.is_err());
    }
    let lane = meter.lane(&key);
    assert_eq!(lane.count().failed, 0);
    assert_eq!(attempts(&meter, CallErrorKind::Refused, false, 1).await, (1, true));
}

#[tokio::test(start_paused = true)]
async fn what_was_learned_is_kept_for_the_next_run() {
    let dir = tempfile::tempdir().unwrap();
    let now: Timestamp = "2026-11-21T09:30:00Z".parse().unwrap();
    let options =
        MeterOptions { learned: Some(dir.path().join("rates.json")), now: Some(now), ..Default::default() };
    let first = Meter::new(options.clone());
    assert_eq!(first.loaded(), &Loaded::Absent);
    for _ in 0..100 {
        first.run(&key("SendCommand"), true, || async { Ok(()) }).await.unwrap();
    }
    let reached = first.rate(&key("SendCommand")).unwrap();
    assert!(reached > 10.0, "{reached}");
    assert_eq!(first.save(now).unwrap(), Some(Saved::Merged));

    let second = Meter::new(options);
    assert_eq!(second.loaded(), &Loaded::Read);
    second.run(&key("SendCommand"), true, || async { Ok(()) }).await.unwrap();
    let starts = second.rate(&key("SendCommand")).unwrap();
    assert!(starts > 5.0 && starts <= reached * 0.8, "{starts} of {reached}");
    assert_eq!(Meter::new(MeterOptions::default()).save(now).unwrap(), None);
}
