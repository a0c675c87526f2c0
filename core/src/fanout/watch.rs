//! The watch: what may stop a run at any time, in the middle of a wave as well.

use std::future::poll_fn;
use std::sync::Arc;
use std::task::Poll;

use super::executor::{Done, Executor, StopReason};
use super::job::{Job, News};
use crate::event::Event;

impl<J: Job> Executor<J> {
    /// Begins to watch, or goes on. News that are there already are taken in at once: what is known to be wrong stops the run before
    /// anything is sent.
    pub(super) async fn keep_watching(&mut self) {
        while self.stopped.is_none() {
            let job = Arc::clone(&self.job);
            let mut next = Box::pin(async move { job.watch().await });
            match poll_fn(|context| Poll::Ready(next.as_mut().poll(context))).await {
                Poll::Ready(news) => self.take_in(news).await,
                Poll::Pending => {
                    self.watch = Some(self.start(async move { Done::Told(next.await) }));
                    return;
                }
            }
        }
    }

    pub(super) async fn absorb_told(&mut self, news: News) {
        self.watch = None;
        self.take_in(news).await;
        self.keep_watching().await;
    }

    async fn take_in(&mut self, news: News) {
        // Told while something else stopped the run: no news any more.
        if self.stopped.is_some() {
            return;
        }
        match news {
            News::Warning(message) => self.emit(Event::Warning { message, hints: Vec::new() }).await,
            News::Stop { gate, reason } => {
                let mid_wave = !self.is_wave_judged();
                self.emit(Event::GateFailed { gate, wave: self.wave_number(), reason, mid_wave }).await;
                self.stop(StopReason::Alarm).await;
            }
        }
    }
}
