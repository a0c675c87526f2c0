//! Jobs whose sends are the work: they answer with outcomes, and there is nothing to look at.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::*;
use crate::fanout::{
    Accepted, Batch, Collected, Detail, Job, Limits, SendOutcome, StopReason, Sweep, SweepScope, Trouble,
};
use crate::journal::Permit;

/// Does the work of a target in ten seconds, by itself.
pub(super) struct Worker {
    /// What each target comes to; of one that is missing, nothing is said.
    outcomes: Vec<Option<Verdict>>,
    at_work: AtomicUsize,
    most: AtomicUsize,
    done: Mutex<Vec<usize>>,
}

type Looked<T> = Result<T, Trouble<String>>;

impl Job for Worker {
    type Error = String;

    fn lane(&self, _: usize) -> u32 {
        0
    }

    fn realm(&self, lane: u32) -> u32 {
        lane
    }

    fn realm_name(&self, _: u32) -> String {
        "here".to_owned()
    }

    fn server_now(&self, _: u32) -> Option<jiff::Timestamp> {
        None
    }

    fn sends_at_once(&self) -> usize {
        usize::MAX
    }

    async fn ready(&self, _: u32) {}

    async fn send(&self, batch: &Batch, _: Limits, _: Permit) -> SendOutcome<String> {
        let at_work = self.at_work.fetch_add(1, Ordering::SeqCst) + 1;
        self.most.fetch_max(at_work, Ordering::SeqCst);
        tokio::time::sleep(Duration::from_secs(10)).await;
        self.at_work.fetch_sub(1, Ordering::SeqCst);
        self.done.lock().unwrap().extend(&batch.targets);
        let outcome = |target: &usize| Some((*target, Outcome::bare(self.outcomes[*target]?, None)));
        let outcomes = batch.targets.iter().filter_map(outcome).collect();
        SendOutcome::Finished { command_id: Some(format!("work-{}", batch.intent)), outcomes }
    }

    async fn locate(&self, _: &Batch) -> Looked<Option<Accepted>> {
        panic!("nothing is lost")
    }

    async fn sweep(&self, _: u32, _: SweepScope, _: Vec<String>) -> Looked<Sweep> {
        panic!("there is nothing to look at")
    }

    async fn collect(&self, _: &Batch, _: &str) -> Looked<Collected> {
        panic!("there is nothing to look at")
    }

    async fn detail(&self, _: usize, _: &str) -> Looked<Detail> {
        panic!("there is nothing to look at")
    }

    async fn cancel(&self, _: u32, _: &str, _: Permit) -> Looked<()> {
        panic!("the service has nothing to cancel")
    }

    async fn gate(&self, _: &str, _: u32) -> Result<Option<String>, String> {
        Ok(None)
    }
}

struct Worked {
    report: Report<String>,
    worker: Arc<Worker>,
    took: Duration,
    finished: Vec<TargetFinished>,
    journal: Replay,
}

/// Runs it with a window of 20 and this budget, interrupted after so long if at all.
async fn work(
    outcomes: Vec<Option<Verdict>>,
    max_errors: u64,
    interrupt: Option<(Duration, Interrupt)>,
) -> Worked {
    let count = outcomes.len();
    let (at_work, most) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let worker = Arc::new(Worker { outcomes, at_work, most, done: Mutex::default() });
    let directory = tempdir();
    let run = new_run(directory.path(), count, &[count]);
    let (events, mut feed) = mpsc::channel(64);
    let (level, interrupts) = watch::channel(Interrupt::None);
    let policy = Policy {
        concurrency: 20,
        max_errors,
        batch: 1,
        eagerness: Eagerness::AsCompleted,
        resend_ambiguous: false,
        between: Between::default(),
        rate: None,
        via: Via::Client,
    };
    let plan = Plan {
        targets: targets(count),
        waves: vec![count],
        judged: BTreeMap::new(),
        policy,
        recovered: Recovered::default(),
    };
    let ports = Ports { journal: Journal::open(&run, 1).unwrap(), events, interrupts };
    let start = Instant::now();
    let job = Played::Worker(Arc::clone(&worker));
    let run_it = async move {
        let report = fan_out(Arc::new(job), plan, ports).await;
        (report, start.elapsed())
    };
    let listen = async {
        let mut finished = Vec::new();
        while let Some(event) = feed.recv().await {
            if let Event::TargetFinished(target) = event {
                finished.push(*target);
            }
        }
        finished
    };
    let press = async {
        if let Some((after, to)) = interrupt {
            tokio::time::sleep(after).await;
            level.send_replace(to);
        }
        // Dropped, it could not be listened to any more.
        std::future::pending::<()>().await;
    };
    let all = async { tokio::join!(run_it, listen) };
    let ((report, took), finished) = tokio::select! {
        ended = tokio::time::timeout(Duration::from_secs(3600), all) => ended.expect("the run hangs"),
        () = press => unreachable!(),
    };
    Worked { report, worker, took, finished, journal: Replay::read(&run).unwrap() }
}

#[tokio::test(start_paused = true)]
async fn only_the_window_limits_them() {
    let worked = work(vec![Some(Verdict::Ok); 100], 0, None).await;
    assert_eq!(worked.report.tally.count(Verdict::Ok), 100);
    assert!(worked.report.anything_sent && worked.report.stopped.is_none());
    assert_eq!(worked.worker.most.load(Ordering::SeqCst), 20);
    assert!(worked.took < Duration::from_secs(52), "{:?}", worked.took);
    assert!(worked.finished.iter().all(|f| f.attempt == 1 && f.command_id.is_some()));
    let mut done = worked.worker.done.lock().unwrap().clone();
    done.sort_unstable();
    assert_eq!(done, (0..100).collect::<Vec<_>>(), "each once");
    assert!(worked.journal.sends.values().all(|send| matches!(send.state, SendState::Sent { .. })));
}

#[tokio::test(start_paused = true)]
async fn the_budget_and_interrupts_hold_for_them() {
    let mut outcomes = vec![Some(Verdict::Ok); 60];
    outcomes[3] = Some(Verdict::Failed);
    let worked = work(outcomes.clone(), 0, None).await;
    assert_eq!(worked.report.stopped, Some(StopReason::Budget));
    assert_eq!(worked.report.tally.count(Verdict::Failed), 1);
    let not_run = worked.report.tally.count(Verdict::NotRun);
    assert!((37..=40).contains(&not_run), "those under way finish: {not_run} did not run");
    assert_eq!(work(outcomes.clone(), 1, None).await.report.stopped, None);

    let worked = work(outcomes.clone(), 9, Some((Duration::from_secs(3), Interrupt::Drain))).await;
    assert_eq!(worked.report.tally.count(Verdict::NotRun), 40);
    let worked = work(outcomes, 9, Some((Duration::from_secs(3), Interrupt::Leave))).await;
    assert_eq!((worked.report.tally.count(Verdict::Unknown), worked.finished.len()), (20, 60));
    assert!(worked.took < Duration::from_secs(4), "{:?}", worked.took);
}

#[tokio::test(start_paused = true)]
async fn a_target_that_nothing_is_said_of_is_unknown() {
    let worked = work(vec![Some(Verdict::Ok), None], 5, None).await;
    assert_eq!(worked.report.tally.count(Verdict::Unknown), 1);
    let silent = worked.finished.iter().find(|f| f.verdict == Verdict::Unknown).unwrap();
    assert_eq!(silent.reason, Some(Reason::RESULT_LOST));
}
