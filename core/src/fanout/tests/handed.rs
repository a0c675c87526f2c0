//! A service that is handed the selector: told of once, watched to its end, never believed to have done what it has not.

use rand::{Rng, SeedableRng};

use super::script::Fault;
use super::service::{LATENCY, Order, Service, id};
use super::*;
use crate::fanout::StopReason;
use crate::tests::one_in;

struct Through {
    service: Arc<Service>,
    report: Report<String>,
    events: Vec<(Duration, Event)>,
    journal: Replay,
    took: Duration,
}

struct Wish {
    order: Order,
    policy: Policy,
    interrupts: Vec<(Duration, Interrupt)>,
}

impl Wish {
    fn new(order: Order) -> Wish {
        let policy = Policy { via: Via::Service, batch: 50, ..Setup::new(Script::of(order.known)).policy };
        Wish { order, policy, interrupts: Vec::new() }
    }

    fn limits(mut self, concurrency: usize, max_errors: u64) -> Wish {
        (self.policy.concurrency, self.policy.max_errors) = (concurrency, max_errors);
        self
    }

    async fn run(self) -> Through {
        let directory = tempdir();
        let run = new_run(directory.path(), self.order.known, &[self.order.known]);
        let service = Arc::new(Service::new(self.order));
        let (report, events, took) = process(&service, &run, self.policy, self.interrupts).await;
        let report = report.expect("nobody killed it");
        let journal = Replay::read(&run).unwrap();
        Through { service, report, events, journal, took }
    }
}

/// One process of a run, to its end or to its death, and what it told.
async fn process(
    service: &Arc<Service>,
    run: &RunDirectory,
    policy: Policy,
    interrupts: Vec<(Duration, Interrupt)>,
) -> (Option<Report<String>>, Vec<(Duration, Event)>, Duration) {
    let replay = Replay::read(run).unwrap();
    let targets = run.targets().unwrap();
    for (target, facts) in targets.iter().enumerate().skip(service.order.known) {
        crate::fanout::Job::adopt(&**service, target, facts, 0);
    }
    let recovered = Recovered::from_replay(&replay, Duration::from_secs(600));
    let journal = Journal::open(run, replay.next_intent).unwrap();
    let (sender, mut receiver) = mpsc::channel(100_000);
    let (interrupt, interrupted) = watch::channel(Interrupt::None);
    let waves = vec![service.order.known];
    let plan = Plan { targets, waves, judged: BTreeMap::new(), policy, recovered };
    let ports = Ports { journal: journal.clone(), events: sender, interrupts: interrupted };
    let start = Instant::now();
    let press = async {
        for (after, level) in interrupts {
            tokio::time::sleep_until(start + after).await;
            interrupt.send(level).unwrap_or_default();
        }
        std::future::pending::<()>().await;
    };
    let day = Duration::from_secs(24 * 3600);
    let report = tokio::select! {
        report = tokio::time::timeout(day, fan_out(Arc::new(Played::Service(Arc::clone(service))), plan, ports)) => {
            Some(report.expect("the run hangs"))
        }
        () = service.died.notified() => None,
        () = press => None,
    };
    let took = start.elapsed();
    super::recovery::nothing_comes_later(&journal).await;
    let mut events = Vec::new();
    while let Ok(event) = receiver.try_recv() {
        events.push((Duration::ZERO, event));
    }
    (report, events, took)
}

/// The same, with what it told on disk for the next one; whether it came to its end.
async fn logged_process(service: &Arc<Service>, run: &RunDirectory, policy: Policy) -> bool {
    let mut seq = Replay::read(run).unwrap().next_seq;
    let (report, events, _) = process(service, run, policy, Vec::new()).await;
    super::recovery::log(run, &mut seq, events);
    report.is_some()
}

impl Through {
    fn verdicts(&self) -> BTreeMap<String, (Verdict, Option<Reason>)> {
        let finished = self.events.iter().filter_map(|(_, event)| match event {
            Event::TargetFinished(f) => Some((f.target.id.clone(), (f.verdict, f.reason.clone()))),
            _ => None,
        });
        finished.collect()
    }

    fn has_warning(&self, text: &str) -> bool {
        let has = |event: &Event| matches!(event, Event::Warning { message, .. } if message.contains(text));
        self.events.iter().any(|(_, event)| has(event))
    }

    /// Every target one verdict, and the one that the service's truth gives; nothing ran twice.
    fn is_true(&self) -> &Through {
        let verdicts = self.verdicts();
        let count = self.events.iter().filter(|(_, e)| matches!(e, Event::TargetFinished(_))).count();
        assert_eq!((count, self.report.tally.total()), (verdicts.len(), verdicts.len() as u64));
        for (node, truth) in self.service.order.nodes.iter().enumerate() {
            let ran = self.service.ran(node);
            assert!(ran <= 1, "{node} ran {ran} times");
            let (verdict, reason) = &verdicts[&id(node)];
            let expected = match ran {
                0 => [Verdict::NotRun, Verdict::Cancelled],
                _ => [truth.verdict, Verdict::Cancelled],
            };
            assert!(expected.contains(verdict), "{node}, ran {ran} times: {verdict} {reason:?}");
        }
        assert_eq!(self.journal.verdicts.len(), verdicts.len());
        self
    }

    fn count(&self, verdict: Verdict) -> u64 {
        self.report.tally.count(verdict)
    }
}

#[tokio::test(start_paused = true)]
async fn one_send_for_each_lane() {
    let mut order = Order::of(400).failing([3, 250]);
    order.lanes = 4;
    let ran = Wish::new(order).limits(80, 10).run().await;
    ran.is_true();
    assert_eq!((ran.count(Verdict::Ok), ran.count(Verdict::Failed)), (398, 2));
    let mut sends = ran.service.state().sends.clone();
    // Whose intent is on disk first is sent first: any order.
    sends.sort_unstable_by_key(|(lane, ..)| *lane);
    assert_eq!(
        sends.iter().map(|(lane, attempt, n, _)| (*lane, *attempt, *n)).collect::<Vec<_>>(),
        [(0, 1, 100), (1, 1, 100), (2, 1, 100), (3, 1, 100)]
    );
    assert_eq!(sends.iter().map(|(.., limits)| u64::from(limits.max_errors)).sum::<u64>(), 10);
    assert!(sends.iter().all(|(.., limits)| limits.max_concurrency == 20));
    assert_eq!(ran.service.widest(), 80);
}

#[tokio::test(start_paused = true)]
async fn results_of_many_are_read_once_where_nobody_waits_for_them() {
    let ran = Wish::new(Order::of(2000)).limits(2000, 0).run().await;
    ran.is_true();
    let state = ran.service.state();
    assert!(state.pages <= 2 * 200, "{} pages", state.pages);
    assert!(state.sweeps < 20, "{} sweeps", state.sweeps);
}

#[tokio::test(start_paused = true)]
async fn whoever_reads_along_gets_results_before_the_end() {
    let mut wish = Wish::new(Order::of(200)).limits(10, 0);
    wish.policy.eagerness = Eagerness::AsCompleted;
    let mut late = Wish::new(Order::of(200)).limits(10, 0);
    late.policy.eagerness = Eagerness::AtEnd;
    let (eager, late) = (wish.run().await, late.run().await);
    eager.is_true();
    late.is_true();
    let (often, once) = (eager.service.state().pages, late.service.state().pages);
    assert!(often > 2 * once && often < 60 * once, "{often} and {once} pages");
}

#[tokio::test(start_paused = true)]
async fn a_node_that_appeared_is_counted_and_one_that_is_gone_never_ran() {
    let mut order = Order::of(63).failing([61]);
    order.known = 60;
    order.unselected = [7, 8].into();
    let ran = Wish::new(order).limits(30, 5).run().await;
    ran.is_true();
    assert_eq!(ran.report.tally.total(), 63);
    let verdicts = ran.verdicts();
    assert_eq!(verdicts[&id(7)], (Verdict::NotRun, Some(Reason::NOT_SELECTED)));
    assert_eq!(verdicts[&id(61)].0, Verdict::Failed);
    assert!(ran.has_warning("node was chosen by the service and not by herder"));
    assert!(ran.has_warning("2 nodes were not chosen by the service, and not run"));
    assert_eq!(ran.report.stopped, None);
    // On disk as well, as targets of that send.
    assert_eq!(ran.journal.sends[&1].targets.len(), 63);
}

#[tokio::test(start_paused = true)]
async fn strangers_count_against_the_budget() {
    let mut order = Order::of(40).failing(20..40);
    order.known = 20;
    let ran = Wish::new(order).limits(1, 0).run().await;
    ran.is_true();
    assert_eq!(ran.report.stopped, Some(StopReason::Budget));
    assert_eq!(ran.count(Verdict::Failed), 1);
}

#[tokio::test(start_paused = true)]
async fn the_service_brakes_by_itself_and_what_runs_may_end() {
    let order = Order::of(300).failing((0..300).step_by(7));
    let ran = Wish::new(order).limits(20, 3).run().await;
    ran.is_true();
    assert_eq!(ran.report.stopped, Some(StopReason::Budget));
    assert!((4..=3 + 20).contains(&ran.report.tally.bad()), "{:?}", ran.report.tally);
    assert_eq!((ran.count(Verdict::Cancelled), ran.service.state().cancels), (0, 0));
    let left = ran.verdicts().into_values().filter(|v| *v == (Verdict::NotRun, Some(Reason::BUDGET)));
    assert_eq!(left.count() as u64, ran.count(Verdict::NotRun));
    assert_eq!(ran.service.state().sends.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn one_budget_over_all_lanes_within_the_announced_overshoot() {
    for seed in (0..100).step_by(one_in(12)) {
        let mut random = rand::rngs::SmallRng::seed_from_u64(seed);
        let count = random.random_range(20..400);
        let share = random.random_range(0.0..0.3);
        let mut order = Order::of(count);
        order.lanes = random.random_range(1..6);
        for node in &mut order.nodes {
            node.takes = Duration::from_millis(random.random_range(200..20_000));
            if random.random_bool(share) {
                node.verdict = Verdict::Failed;
            }
        }
        let bad = order.nodes.iter().filter(|n| n.verdict == Verdict::Failed).count() as u64;
        let (window, budget) = (random.random_range(1..60), random.random_range(0..30));
        let ran = Wish::new(order).limits(window, budget).run().await;
        ran.is_true();
        let case = format!("seed {seed}: {count} nodes, {bad} bad, window {window}, budget {budget}");
        assert!(ran.report.tally.bad() <= budget + window as u64, "{case}: {:?}", ran.report.tally);
        assert!(ran.service.widest() <= window, "{case}: {} at once", ran.service.widest());
        if bad <= budget {
            // A portion may run out before the budget does: that stops nobody.
            assert_eq!((ran.report.stopped, ran.report.tally.bad()), (None, bad), "{case}");
            assert_eq!(ran.count(Verdict::Ok), count as u64 - bad, "{case}");
        } else {
            assert_eq!(ran.report.stopped, Some(StopReason::Budget), "{case}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn where_only_a_portion_ran_out_the_rest_goes_in_batches() {
    let mut order = Order::of(200).failing([0, 2, 4]);
    order.lanes = 2;
    let ran = Wish::new(order).limits(20, 4).run().await;
    ran.is_true();
    assert_eq!((ran.report.stopped, ran.count(Verdict::Ok)), (None, 197));
    let sends = ran.service.state().sends.clone();
    assert!(sends.iter().skip(2).all(|(lane, attempt, n, _)| (*lane, *attempt) == (0, 2) && *n <= 20));
    assert!(sends.len() > 2 && ran.service.widest() <= 20);
}

#[tokio::test(start_paused = true)]
async fn commands_that_would_go_on_are_cancelled_when_others_spent_the_budget() {
    let mut order = Order::of(400).failing((0..400).step_by(2));
    order.lanes = 2;
    // Lane 1 has no bad ones and would never brake.
    let ran = Wish::new(order).limits(10, 4).run().await;
    ran.is_true();
    assert_eq!((ran.report.stopped, ran.service.state().cancels), (Some(StopReason::Budget), 1));
    assert!(ran.count(Verdict::Cancelled) > 150, "{:?}", ran.report.tally);
}

#[tokio::test(start_paused = true)]
async fn more_lanes_than_places_wait_for_each_other() {
    let mut order = Order::of(12);
    order.lanes = 6;
    let ran = Wish::new(order).limits(2, 0).run().await;
    ran.is_true();
    assert_eq!((ran.service.widest(), ran.service.state().sends.len()), (2, 6));
}

#[tokio::test(start_paused = true)]
async fn a_send_whose_answer_was_lost_is_found_or_unknown() {
    for (fault, ok) in [(Fault::LostAfter, 30), (Fault::LostBefore, 0), (Fault::Throttled, 30)] {
        let mut order = Order::of(30);
        order.faults = [(1, fault)].into();
        let ran = Wish::new(order).run().await;
        assert_eq!(ran.count(Verdict::Ok), ok, "{fault:?}");
        assert_eq!(ran.count(Verdict::Unknown), 30 - ok, "{fault:?}");
        assert!((0..30).all(|node| ran.service.ran(node) <= 1));
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_sent_again_names_its_ids() {
    let mut order = Order::of(120);
    order.faults = [(1, Fault::LostBefore)].into();
    let mut wish = Wish::new(order.clone());
    wish.policy.resend_ambiguous = true;
    order.faults = [(1, Fault::Refused)].into();
    for ran in [wish.run().await, Wish::new(order).run().await] {
        ran.is_true();
        assert_eq!(ran.count(Verdict::Ok), 120);
        let sends = ran.service.state().sends.clone();
        let mut sends: Vec<_> = sends.into_iter().map(|(_, attempt, n, _)| (attempt, n)).collect();
        sends.sort_unstable();
        assert_eq!(sends, [(1, 120), (2, 20), (2, 50), (2, 50)]);
    }
}

#[tokio::test(start_paused = true)]
async fn a_service_that_tells_nothing_is_read_all_the_same() {
    let mut order = Order::of(50);
    order.is_mute = true;
    let ran = Wish::new(order).run().await;
    ran.is_true();
    assert_eq!(ran.count(Verdict::Ok), 50);
    assert!(ran.took < Duration::from_secs(120), "{:?}", ran.took);
}

#[tokio::test(start_paused = true)]
async fn results_that_cannot_be_listed_are_read_one_by_one_and_the_run_ends() {
    for lanes in [1, 3] {
        let mut order = Order::of(60).failing([9]);
        (order.lanes, order.hides_results) = (lanes, true);
        order.unselected = [7].into();
        let ran = Wish::new(order).limits(30, 5).run().await;
        ran.is_true();
        assert_eq!((ran.count(Verdict::Ok), ran.count(Verdict::Failed)), (58, 1));
        assert_eq!(ran.verdicts()[&id(7)], (Verdict::NotRun, Some(Reason::NOT_SELECTED)));
        assert!(ran.took < Duration::from_secs(120), "{:?}", ran.took);
        assert!(ran.service.state().details < 200, "{}", ran.service.state().details);
    }
    // What a portion that ran out left behind goes on as well.
    let mut order = Order::of(200).failing([0, 2, 4]);
    (order.lanes, order.hides_results) = (2, true);
    let ran = Wish::new(order).limits(20, 4).run().await;
    ran.is_true();
    assert_eq!((ran.report.stopped, ran.count(Verdict::Ok)), (None, 197));
}

#[tokio::test(start_paused = true)]
async fn results_that_nobody_may_read_are_unknown_at_once() {
    let mut order = Order::of(40);
    (order.lanes, order.denies_results) = (2, true);
    let ran = Wish::new(order).run().await;
    assert_eq!(ran.count(Verdict::Unknown), 40);
    assert!(ran.took < Duration::from_secs(60), "{:?}", ran.took);
}

#[tokio::test(start_paused = true)]
async fn who_is_missing_from_shifting_pages_ran_all_the_same() {
    for counts_rows in [true, false] {
        let mut order = Order::of(50).failing([3]);
        (order.shifts, order.counts_rows) = (3, counts_rows);
        let ran = Wish::new(order).run().await;
        ran.is_true();
        assert_eq!((ran.count(Verdict::Ok), ran.count(Verdict::Failed)), (49, 1), "{counts_rows}");
        let state = ran.service.state();
        assert_eq!(
            state.details,
            if counts_rows { 10 } else { 0 },
            "asked for by their ids, or seen in a later pass"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_stranger_that_stands_on_two_pages_is_one_target() {
    let mut order = Order::of(20);
    (order.known, order.shifts, order.counts_rows) = (15, 1, true);
    let ran = Wish::new(order).run().await;
    ran.is_true();
    assert_eq!((ran.report.tally.total(), ran.count(Verdict::Ok)), (20, 20));
    assert_eq!(ran.journal.sends[&1].targets.len(), 20);
    assert!(ran.has_warning("5 nodes were chosen by the service"));
}

#[tokio::test(start_paused = true)]
async fn who_the_service_never_came_to_may_have_no_result_at_all() {
    let mut order = Order::of(300).failing((0..300).step_by(7));
    order.hides_left = true;
    let ran = Wish::new(order).limits(20, 3).run().await;
    ran.is_true();
    assert_eq!(ran.report.stopped, Some(StopReason::Budget));
    assert!(ran.verdicts().into_values().all(|(v, r)| v != Verdict::NotRun || r == Some(Reason::BUDGET)));
    assert!(ran.count(Verdict::NotRun) > 200 && ran.took < Duration::from_secs(180), "{:?}", ran.took);

    // Cancelled, since another lane spent the budget.
    let mut order = Order::of(400).failing((0..400).step_by(2));
    (order.lanes, order.hides_left) = (2, true);
    let ran = Wish::new(order).limits(10, 4).run().await;
    ran.is_true();
    assert_eq!(ran.service.state().cancels, 1);
    assert!(ran.count(Verdict::NotRun) > 300 && ran.took < Duration::from_secs(180), "{:?}", ran.took);

    // A portion ran out, the budget has not: they are run.
    let mut order = Order::of(200).failing([0, 2, 4]);
    (order.lanes, order.hides_left) = (2, true);
    let ran = Wish::new(order).limits(20, 4).run().await;
    ran.is_true();
    assert_eq!((ran.report.stopped, ran.count(Verdict::Ok)), (None, 197));
}

#[tokio::test(start_paused = true)]
async fn a_result_that_is_counted_and_never_shown_is_unknown() {
    let mut order = Order::of(30);
    order.unselected = [4].into();
    order.phantoms = 1;
    let ran = Wish::new(order).run().await;
    assert_eq!(ran.count(Verdict::Ok), 29);
    assert_eq!(ran.verdicts()[&id(4)], (Verdict::Unknown, Some(Reason::RESULT_LOST)));
    assert!(ran.has_warning("left without a result, although the command has ended"));
    assert!(ran.took > Duration::from_secs(60) && ran.took < Duration::from_secs(180), "{:?}", ran.took);
}

#[tokio::test(start_paused = true)]
async fn lanes_do_not_wait_for_each_others_answers() {
    for fault in [None, Some(Fault::LostBefore)] {
        let mut order = Order::of(240);
        order.lanes = 12;
        order.faults = fault.into_iter().map(|fault| (1, fault)).collect();
        let ran = Wish::new(order).limits(50, 240).run().await;
        let sent = ran.service.state().sent_at.clone();
        assert_eq!(sent.len(), 12);
        assert!(sent.iter().all(|at| *at < sent[0] + LATENCY), "{fault:?}: {sent:?}");
        assert!(ran.service.widest() <= 50);
        assert_eq!(ran.count(Verdict::Unknown), if fault.is_some() { 20 } else { 0 });
    }
}

#[tokio::test(start_paused = true)]
async fn the_first_interrupt_says_that_the_service_goes_on_and_the_second_cancels_it() {
    let mut wish = Wish::new(Order::of(300)).limits(10, 0);
    wish.interrupts = vec![(Duration::from_secs(5), Interrupt::Drain)];
    let ran = wish.run().await;
    ran.is_true();
    assert!(ran.has_warning("the service goes on by itself: it has"));
    assert_eq!(ran.count(Verdict::Ok), 300);

    let mut wish = Wish::new(Order::of(300)).limits(10, 0);
    wish.interrupts =
        vec![(Duration::from_secs(5), Interrupt::Drain), (Duration::from_secs(6), Interrupt::Cancel)];
    let ran = wish.run().await;
    ran.is_true();
    assert!(ran.count(Verdict::Cancelled) > 250 && ran.took < Duration::from_secs(20), "{:?}", ran.took);
}

#[tokio::test(start_paused = true)]
async fn killed_at_every_call_it_tells_the_service_once() {
    let order = || {
        let mut order = Order::of(33).failing([4, 9]);
        (order.known, order.lanes) = (30, 2);
        order.unselected = [2].into();
        order.faults = [(2, Fault::LostAfter)].into();
        order
    };
    let policy = Policy { eagerness: Eagerness::AsCompleted, ..Wish::new(order()).limits(12, 4).policy };
    let mut step = 0;
    loop {
        step += one_in(3) as u64;
        let directory = tempdir();
        let run = new_run(directory.path(), 30, &[30]);
        let service = Arc::new(Service::new(order()));
        service.state().dies_at = Some(step);
        if logged_process(&service, &run, policy.clone()).await {
            break;
        }
        service.forget();
        assert!(logged_process(&service, &run, policy.clone()).await, "it goes on to its end");
        let replay = Replay::read(&run).unwrap();
        let targets = run.targets().unwrap();
        assert_eq!(replay.verdicts.len(), targets.len());
        for (target, verdict) in targets.iter().zip(&replay.verdicts) {
            let node = usize::from_str_radix(&target.id[2..], 16).unwrap();
            let ran = service.ran(node);
            let expected = match ran {
                0 => [Verdict::NotRun, Verdict::Unknown, Verdict::Cancelled],
                // What is unknown counts against the budget, and what is over that is cancelled.
                1 => [service.order.nodes[node].verdict, Verdict::Cancelled, Verdict::Cancelled],
                _ => panic!("step {step}: {node} ran {ran} times"),
            };
            assert!(verdict.is_some_and(|v| expected.contains(&v)), "step {step}: {node} {ran} {verdict:?}");
        }
        // One that was cancelled before it began may be a target too.
        let mut strangers = (30..33).filter(|node| service.ran(*node) > 0);
        assert!(strangers.all(|node| targets.iter().any(|t| t.id == id(node))), "step {step}");
        let ids: BTreeSet<&str> = targets.iter().map(|t| t.id.as_str()).collect();
        assert_eq!(ids.len(), targets.len(), "step {step}: nobody is a target twice");
    }
    assert!(step > 15, "{step} steps");
}
