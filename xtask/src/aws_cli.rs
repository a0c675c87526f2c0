//! The aws CLI against `herder sim serve`: a client that we did not write has to find AWS there.

mod sessions;

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use crate::process::{build, isolate};
use crate::serve::Simulator;
use crate::{Outcome, judges};

/// Makes the checks; gives how many there were. Without an environment for the aws CLI there are none.
pub(crate) fn run() -> Outcome<u64> {
    let Some(python) = judges::python()? else { return Ok(0) };
    let herder = build("dev")?;
    let simulator = Simulator::start(&herder, "nodes=60,windows=0,hybrid=0,latency=5ms")?;
    let mut session = Session { python, simulator, passed: 0 };
    session.reads()?;
    session.command_that_succeeds()?;
    session.command_that_fails()?;
    session.command_that_is_cancelled()?;
    session.outputs()?;
    session.errors()?;
    session.sessions(&herder)?;
    session.simulator = Simulator::start(&herder, "nodes=3,throttle=1")?;
    session.refuses(&["ssm", "list-commands"], "(ThrottlingException)")?;
    Ok(session.passed)
}

/// The Python that has the aws CLI.
pub(crate) fn install() -> Outcome<PathBuf> {
    judges::python()?.ok_or_else(|| "the aws CLI can't be installed".to_owned())
}

struct Session {
    python: PathBuf,
    simulator: Simulator,
    passed: u64,
}

impl Session {
    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(&self.python);
        isolate(&mut command).args(["-m", "awscli"]).args(arguments).args(["--output", "json"]);
        command.envs(self.simulator.variables.iter().cloned());
        // Nothing of the user's own configuration, and no patience: one attempt shows what the service said.
        let nothing = Path::new("/dev/null");
        command.env("AWS_CONFIG_FILE", nothing).env("AWS_SHARED_CREDENTIALS_FILE", nothing);
        command.env("AWS_EC2_METADATA_DISABLED", "true").env("AWS_MAX_ATTEMPTS", "1");
        command
    }

    /// Calls the service; it has to answer.
    fn call(&mut self, arguments: &[&str]) -> Outcome<Value> {
        let text = self.succeeds(arguments)?;
        serde_json::from_slice(&text).map_err(|error| format!("{}: no JSON: {error}", shown(arguments)))
    }

    fn succeeds(&mut self, arguments: &[&str]) -> Outcome<Vec<u8>> {
        let output = self.command(arguments).output().map_err(|error| error.to_string())?;
        match output.status.success() {
            true => Ok(output.stdout),
            false => Err(format!("{}: {}", shown(arguments), String::from_utf8_lossy(&output.stderr).trim())),
        }
    }

    /// Calls the service; it has to refuse with these words.
    fn refuses(&mut self, arguments: &[&str], words: &str) -> Outcome {
        let output = self.command(arguments).output().map_err(|error| error.to_string())?;
        let complaint = String::from_utf8_lossy(&output.stderr);
        let holds = !output.status.success() && complaint.contains(words);
        self.expect(holds, || format!("{}: expected `{words}`, got: {}", shown(arguments), complaint.trim()))
    }

    fn expect(&mut self, holds: bool, or: impl FnOnce() -> String) -> Outcome {
        if !holds {
            return Err(or());
        }
        self.passed += 1;
        Ok(())
    }

    fn equal(&mut self, what: &str, is: &Value, should: Value) -> Outcome {
        self.expect(*is == should, || format!("{what}: is {is}, should be {should}"))
    }

    fn reads(&mut self) -> Outcome {
        let caller = self.call(&["sts", "get-caller-identity"])?;
        let is_account = caller["Account"].as_str().is_some_and(|account| account.len() == 12);
        self.expect(is_account, || format!("get-caller-identity: {caller}"))?;
        let nodes = self.call(&["ssm", "describe-instance-information", "--page-size", "50"])?;
        let count = nodes["InstanceInformationList"].as_array().map_or(0, Vec::len);
        self.expect(count == 60, || {
            format!("describe-instance-information: {count} nodes in pages, not 60")
        })?;
        let instances = self.call(&["ec2", "describe-instances", "--page-size", "25"])?;
        let reservations = instances["Reservations"].as_array().into_iter().flatten();
        let count: usize = reservations.filter_map(|r| r["Instances"].as_array()).map(Vec::len).sum();
        self.expect(count == 60, || format!("describe-instances: {count} instances in pages, not 60"))
    }

    fn two_nodes(&mut self) -> Outcome<[String; 2]> {
        let nodes = self.call(&["ssm", "describe-instance-information"])?;
        let id = |n: usize| nodes["InstanceInformationList"][n]["InstanceId"].as_str().map(str::to_owned);
        Ok([id(0).ok_or("no first node")?, id(1).ok_or("no second node")?])
    }

    fn send(&mut self, line: &str, nodes: &[String]) -> Outcome<String> {
        let parameters = serde_json::json!({ "commands": [line] }).to_string();
        let mut arguments = vec!["ssm", "send-command", "--document-name", "AWS-RunShellScript"];
        arguments.extend(["--parameters", &parameters, "--instance-ids"]);
        arguments.extend(nodes.iter().map(String::as_str));
        let sent = self.call(&arguments)?;
        let is_pending =
            sent["Command"]["Status"] == "Pending" && sent["Command"]["DocumentName"] == "AWS-RunShellScript";
        self.expect(is_pending, || format!("send-command: {sent}"))?;
        sent["Command"]["CommandId"].as_str().map(str::to_owned).ok_or_else(|| "no CommandId".to_owned())
    }

    fn command_that_succeeds(&mut self) -> Outcome {
        let nodes = self.two_nodes()?;
        let id = self.send("uptime", &nodes)?;
        for node in &nodes {
            self.succeeds(&["ssm", "wait", "command-executed", "--command-id", &id, "--instance-id", node])?;
            self.passed += 1;
        }
        let listed = self.call(&["ssm", "list-command-invocations", "--command-id", &id, "--details"])?;
        let invocations = listed["CommandInvocations"].as_array().cloned().unwrap_or_default();
        self.expect(invocations.len() == 2, || format!("list-command-invocations: {listed}"))?;
        for invocation in &invocations {
            self.equal("invocation", &invocation["StatusDetails"], "Success".into())?;
            let output = invocation["CommandPlugins"][0]["Output"].as_str().unwrap_or_default();
            self.expect(output.contains("load average"), || format!("output of uptime: {output:?}"))?;
        }
        let got =
            self.call(&["ssm", "get-command-invocation", "--command-id", &id, "--instance-id", &nodes[0]])?;
        self.equal("get-command-invocation", &got["ResponseCode"], 0.into())?;
        let commands = self.call(&["ssm", "list-commands", "--command-id", &id])?;
        self.equal("list-commands", &commands["Commands"][0]["Status"], "Success".into())?;
        self.equal("TargetCount", &commands["Commands"][0]["TargetCount"], 2.into())?;
        self.equal("CompletedCount", &commands["Commands"][0]["CompletedCount"], 2.into())
    }

    fn command_that_fails(&mut self) -> Outcome {
        let [node, _] = self.two_nodes()?;
        let id = self.send("exit 3", std::slice::from_ref(&node))?;
        let wait = ["ssm", "wait", "command-executed", "--command-id", &id, "--instance-id", &node];
        self.refuses(&wait, "terminal failure state")?;
        let got =
            self.call(&["ssm", "get-command-invocation", "--command-id", &id, "--instance-id", &node])?;
        self.equal("StatusDetails", &got["StatusDetails"], "Failed".into())?;
        self.equal("ResponseCode", &got["ResponseCode"], 3.into())
    }

    fn command_that_is_cancelled(&mut self) -> Outcome {
        let [node, _] = self.two_nodes()?;
        let id = self.send("sleep 600", std::slice::from_ref(&node))?;
        self.succeeds(&["ssm", "cancel-command", "--command-id", &id])?;
        let wait = ["ssm", "wait", "command-executed", "--command-id", &id, "--instance-id", &node];
        self.refuses(&wait, "terminal failure state")?;
        let listed = self.call(&["ssm", "list-command-invocations", "--command-id", &id])?;
        self.equal("Status", &listed["CommandInvocations"][0]["Status"], "Cancelled".into())
    }

    /// What a command leaves in S3 and in CloudWatch Logs.
    fn outputs(&mut self) -> Outcome {
        let [node, _] = self.two_nodes()?;
        let parameters = r#"{"commands":["echo out; echo err >&2"]}"#;
        let document =
            ["ssm", "send-command", "--document-name", "AWS-RunShellScript", "--parameters", parameters];
        let bucket = "herder-output";
        let places = [
            "--instance-ids",
            &node,
            "--output-s3-bucket-name",
            bucket,
            "--output-s3-key-prefix",
            "runs",
            "--cloud-watch-output-config",
            "CloudWatchLogGroupName=ops,CloudWatchOutputEnabled=true",
        ];
        let sent = self.call(&[&document[..], &places].concat())?;
        let id = sent["Command"]["CommandId"].as_str().unwrap_or_default().to_owned();
        self.succeeds(&["ssm", "wait", "command-executed", "--command-id", &id, "--instance-id", &node])?;
        let region = self.call(&["s3api", "head-bucket", "--bucket", bucket])?["BucketRegion"].clone();
        self.equal("BucketRegion", &region, "us-east-1".into())?;
        let listed =
            self.call(&["s3api", "list-objects-v2", "--bucket", bucket, "--prefix", &format!("runs/{id}/")])?;
        let folder = format!("runs/{id}/{node}/awsrunShellScript/0.awsrunShellScript");
        let keys: Vec<&Value> =
            listed["Contents"].as_array().into_iter().flatten().map(|object| &object["Key"]).collect();
        let expected = ["stderr", "stdout"].map(|stream| Value::from(format!("{folder}/{stream}")));
        self.expect(keys == expected.iter().collect::<Vec<_>>(), || format!("list-objects-v2: {keys:?}"))?;
        let text = self.succeeds(&["s3", "cp", "--quiet", &format!("s3://{bucket}/{folder}/stdout"), "-"])?;
        self.expect(text == b"out\n", || format!("s3 cp: {text:?}"))?;
        self.refuses(&["s3api", "head-bucket", "--bucket", "nowhere"], "(404)")?;
        let events = self.call(&["logs", "filter-log-events", "--log-group-name", "ops"])?;
        let messages: Vec<&Value> =
            events["events"].as_array().into_iter().flatten().map(|event| &event["message"]).collect();
        self.expect(messages.contains(&&"out".into()), || format!("filter-log-events: {events}"))
    }

    fn errors(&mut self) -> Outcome {
        let [node, _] = self.two_nodes()?;
        let shell =
            ["ssm", "send-command", "--document-name", "AWS-RunShellScript", "--parameters", "commands=id"];
        let to = |ids: &[&'static str]| [&shell[..], &["--instance-ids"], ids].concat();
        self.refuses(&to(&["i-00000000000000000"]), "(InvalidInstanceId)")?;
        self.refuses(&to(&["i-00000000000000000"; 51]), "(ValidationException)")?;
        let no_document = ["ssm", "send-command", "--document-name", "No-Such", "--instance-ids", &node];
        self.refuses(&no_document, "(InvalidDocument)")?;
        let parameters = "colour=blue";
        let document = "AWS-RunShellScript";
        let bad = [
            "ssm",
            "send-command",
            "--document-name",
            document,
            "--parameters",
            parameters,
            "--instance-ids",
            &node,
        ];
        self.refuses(&bad, "(InvalidParameters)")?;
        let unknown = "00000000-0000-4000-8000-000000000000";
        let get = ["ssm", "get-command-invocation", "--command-id", unknown, "--instance-id", &node];
        self.refuses(&get, "(InvocationDoesNotExist)")?;
        self.refuses(
            &["ec2", "describe-instances", "--instance-ids", "i-00000000000000000"],
            "(InvalidInstanceID.NotFound)",
        )
    }
}

fn shown(arguments: &[&str]) -> String {
    format!("aws {}", arguments.join(" "))
}
