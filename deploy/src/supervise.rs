//! Runs the stages together and stops them in the order in which data flows.

use std::fmt;
use std::future::Future;
use std::time::Duration;

use tokio::task::{JoinError, JoinHandle};
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

/// What a stage may end with.
pub type StageResult = Result<(), Box<dyn std::error::Error + Send + Sync>>;

/// The stages of one process, in the order in which data flows.
#[derive(Default)]
pub struct Supervisor {
    stages: Vec<Stage>,
}

struct Stage {
    name: &'static str,
    stop: CancellationToken,
    task: JoinHandle<StageResult>,
}

/// Why everything stopped.
#[derive(Debug, PartialEq, Eq)]
pub enum Ending {
    /// Somebody asked for it.
    Asked,
    /// A stage ended that should have gone on; the text says which and why.
    Broken(String),
}

impl Supervisor {
    /// Starts a stage behind those already started. It is handed its own stop signal.
    pub fn spawn<F>(&mut self, name: &'static str, stage: impl FnOnce(CancellationToken) -> F)
    where
        F: Future<Output = StageResult> + Send + 'static,
    {
        let stop = CancellationToken::new();
        let task = tokio::spawn(stage(stop.clone()));
        self.stages.push(Stage { name, stop, task });
    }

    /// Waits until `asked` is done or a stage ends, then stops all stages one after the other, upstream first, so
    /// that each can finish what the one before it has sent. All of them together have until `deadline`; who is
    /// still running then is named and cut off, which loses nothing that was acknowledged.
    pub async fn run(mut self, asked: impl Future<Output = ()>, deadline: Duration) -> Ending {
        let ending = tokio::select! {
            () = asked => Ending::Asked,
            ended = self.first_to_end() => Ending::Broken(ended),
        };
        match &ending {
            Ending::Asked => info!("stopping"),
            Ending::Broken(why) => error!("{why}; stopping the rest"),
        }
        let late_by = tokio::time::Instant::now() + deadline;
        for mut stage in self.stages {
            stage.stop.cancel();
            if stage.task.is_finished() {
                continue;
            }
            match tokio::time::timeout_at(late_by, &mut stage.task).await {
                Ok(result) => report_stop(stage.name, &result),
                Err(_) => {
                    warn!(stage = stage.name, "still running after {deadline:?}, cut off");
                    stage.task.abort();
                }
            }
        }
        ending
    }

    /// Waits for the first stage that ends, and says how. Polls the tasks without consuming the others.
    async fn first_to_end(&mut self) -> String {
        std::future::poll_fn(|context| {
            for stage in &mut self.stages {
                if let std::task::Poll::Ready(result) = std::pin::Pin::new(&mut stage.task).poll(context) {
                    return std::task::Poll::Ready(describe(stage.name, &result));
                }
            }
            std::task::Poll::Pending
        })
        .await
    }
}

fn describe(name: &str, result: &Result<StageResult, JoinError>) -> String {
    match result {
        Ok(Ok(())) => format!("{name} ended by itself"),
        Ok(Err(cause)) => format!("{name} failed: {}", Chain(cause.as_ref())),
        Err(panic) => format!("{name} panicked: {panic}"),
    }
}

fn report_stop(name: &'static str, result: &Result<StageResult, JoinError>) {
    match result {
        Ok(Ok(())) => info!(stage = name, "stopped"),
        other => warn!("while stopping, {}", describe(name, other)),
    }
}

/// An error with its causes, on one line.
pub struct Chain<'a>(pub &'a (dyn std::error::Error + 'static));

impl fmt::Display for Chain<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)?;
        let mut cause = self.0.source();
        while let Some(error) = cause {
            write!(f, ": {error}")?;
            cause = error.source();
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::{Arc, Mutex};

    type Diary = Arc<Mutex<Vec<&'static str>>>;

    fn stage(supervisor: &mut Supervisor, name: &'static str, diary: &Diary) {
        let diary = diary.clone();
        supervisor.spawn(name, |stop| async move {
            stop.cancelled().await;
            diary.lock().expect("no panic while it is held").push(name);
            Ok(())
        });
    }

    fn entries(diary: &Diary) -> Vec<&'static str> {
        diary.lock().expect("no panic while it is held").clone()
    }

    #[tokio::test]
    async fn stops_upstream_first() {
        let (mut supervisor, diary) = (Supervisor::default(), Diary::default());
        for name in ["gateway", "stream", "sinks"] {
            stage(&mut supervisor, name, &diary);
        }
        assert_eq!(supervisor.run(async {}, Duration::from_secs(5)).await, Ending::Asked);
        assert_eq!(entries(&diary), ["gateway", "stream", "sinks"]);
    }

    #[tokio::test]
    async fn a_stage_that_fails_is_named_and_stops_the_rest() {
        let (mut supervisor, diary) = (Supervisor::default(), Diary::default());
        stage(&mut supervisor, "gateway", &diary);
        supervisor.spawn("stream", |_| async { Err("the disk is gone".into()) });
        stage(&mut supervisor, "sinks", &diary);
        let ending = supervisor.run(std::future::pending(), Duration::from_secs(5)).await;
        assert_eq!(ending, Ending::Broken("stream failed: the disk is gone".into()));
        assert_eq!(entries(&diary), ["gateway", "sinks"]);
    }

    #[tokio::test]
    async fn a_stage_that_panics_is_named() {
        let mut supervisor = Supervisor::default();
        supervisor.spawn("sinks", |_| async { panic!("a bug") });
        let ending = supervisor.run(std::future::pending(), Duration::from_secs(5)).await;
        let Ending::Broken(why) = ending else { panic!("a panic is not asked for") };
        assert!(why.starts_with("sinks panicked"), "{why}");
    }

    #[tokio::test]
    async fn a_stage_that_does_not_stop_holds_nobody_for_ever() {
        let (mut supervisor, diary) = (Supervisor::default(), Diary::default());
        supervisor.spawn("gateway", |_| std::future::pending());
        stage(&mut supervisor, "sinks", &diary);
        let ending = supervisor.run(async {}, Duration::from_millis(20)).await;
        assert_eq!(ending, Ending::Asked);
    }
}
