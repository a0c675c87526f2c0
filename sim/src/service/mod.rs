//! The services, one module each: what a call does, and what is answered.

pub(crate) mod autoscaling;
pub(crate) mod change;
pub(crate) mod cloudwatch;
pub(crate) mod ec2;
pub(crate) mod elb;
pub(crate) mod kms;
pub(crate) mod logs;
pub(crate) mod messages;
pub(crate) mod organizations;
pub(crate) mod resource_groups;
pub(crate) mod s3;
pub(crate) mod ssm;
pub(crate) mod sts;

use crate::clock::At;
use crate::core::{Call, State};
use crate::credentials::Principal;
use crate::spec::Spec;
use crate::wire::{ApiError, Protocol, Reply, Service, aws_json, rest_json};
use crate::world::Region;
use ssm::registration;

/// What a call to a region is answered from.
#[derive(Debug)]
pub(crate) struct Here<'a> {
    pub(crate) spec: &'a Spec,
    pub(crate) region: &'a mut Region,
    pub(crate) now: At,
    /// How far the clock that callers see is off, in microseconds.
    pub(crate) skew: i64,
    pub(crate) request_id: &'a str,
}

impl Here<'_> {
    /// A time as callers see it.
    pub(crate) fn shown(&self, at: At) -> At {
        At(at.0.saturating_add(self.skew))
    }

    /// A resource's name as AWS writes it.
    pub(crate) fn arn(&self, service: &str, resource: &str) -> String {
        format!("arn:aws:{service}:{}:{}:{resource}", self.region.name, self.region.account)
    }
}

/// The operations of a service that are simulated, by the names that AWS's own models have for them.
pub(crate) fn operations(service: Service) -> &'static [&'static str] {
    match service {
        Service::Ssm => ssm::OPERATIONS,
        Service::Ec2 => ec2::OPERATIONS,
        Service::Sts => sts::OPERATIONS,
        Service::AutoScaling => autoscaling::OPERATIONS,
        Service::LoadBalancing => elb::OPERATIONS,
        Service::CloudWatch => cloudwatch::OPERATIONS,
        Service::ResourceGroups => resource_groups::OPERATIONS,
        Service::S3 => s3::OPERATIONS,
        Service::Logs => logs::OPERATIONS,
        Service::Organizations => organizations::OPERATIONS,
        Service::Kms => kms::OPERATIONS,
        Service::Messages => messages::OPERATIONS,
        // Its channels are opened over websockets, and no model describes them.
        Service::Gateway => &[],
    }
}

/// Carries a call out.
pub(crate) fn answer(
    state: &mut State,
    spec: &Spec,
    call: &Call,
    principal: &Principal,
) -> Result<Reply, ApiError> {
    // What is not in the list can't be reached: whoever judges the list judges all there is.
    if !operations(call.service).contains(&call.api.as_str()) {
        return Err(unknown(call));
    }
    let now = At::now();
    let skew = state.skew;
    let known = match call.service {
        Service::Sts => {
            let caller = (&mut state.credentials, principal);
            sts::answer((spec, &call.api), &call.form, caller, (now, &call.request_id))
        }
        Service::Organizations => {
            let body = aws_json::parse(&call.incoming.body)?;
            let answer = organizations::answer(spec, principal, &call.api, &body);
            answer.map(|answer| answer.map(|answer| aws_json::ok(&answer)))
        }
        Service::Kms => {
            let body = aws_json::parse(&call.incoming.body)?;
            let answer = kms::answer(&kms::Kms::new(spec, principal, &call.region), &call.api, &body);
            answer.map(|answer| answer.map(|answer| aws_json::ok(&answer)))
        }
        Service::Messages => {
            let body = aws_json::parse(&call.incoming.body)?;
            let answer = messages::answer(&call.api, &body);
            answer.map(|answer| answer.map(|answer| aws_json::ok(&answer)))
        }
        Service::Ssm if registration::is_agents(call.service, &call.api) => {
            let (_, region) = state.world.region(spec, &principal.account, &call.region);
            let body = aws_json::parse(&call.incoming.body)?;
            let (registrations, credentials) = (&mut state.agents.registrations, &mut state.credentials);
            let mut desk = registration::Desk { region, registrations, credentials, principal, now, skew };
            let answer = registration::answer(&mut desk, &call.api, &body);
            answer.map(|answer| answer.map(|answer| aws_json::ok(&answer)))
        }
        Service::S3 => {
            let mut s3 = s3::S3 { spec, world: &mut state.world, principal, now, skew };
            s3::answer(&mut s3, call)
        }
        Service::Ssm => {
            let (documents, region) = state.world.region(spec, &principal.account, &call.region);
            let body = aws_json::parse(&call.incoming.body)?;
            let endpoint = &call.incoming.endpoint;
            let sessions = &mut state.sessions;
            let mut ssm = ssm::Ssm { spec, documents, region, sessions, principal, endpoint, now, skew };
            let answer = ssm::answer(&mut ssm, &call.api, &body);
            answer.map(|answer| answer.map(|answer| aws_json::ok(&answer)))
        }
        Service::Ec2 => {
            let (_, region) = state.world.region(spec, &principal.account, &call.region);
            let mut ec2 = ec2::Ec2 { spec, region, now, skew, request_id: &call.request_id };
            ec2::answer(&mut ec2, &call.api, &call.form)
        }
        _ => {
            let (_, region) = state.world.region(spec, &principal.account, &call.region);
            regional(&mut Here { spec, region, now, skew, request_id: &call.request_id }, call)
        }
    };
    known.unwrap_or_else(|| Err(unknown(call)))
}

/// The services that need no more than one region.
fn regional(here: &mut Here<'_>, call: &Call) -> Option<Result<Reply, ApiError>> {
    match call.service {
        Service::AutoScaling => autoscaling::answer(here, &call.api, &call.form),
        Service::LoadBalancing => elb::answer(here, &call.api, &call.form),
        Service::CloudWatch => cloudwatch::answer(here, call),
        Service::ResourceGroups => {
            let answer = |body| resource_groups::answer(here, (&call.api, &call.form), &body);
            match aws_json::parse(&call.incoming.body).map(answer) {
                Ok(answer) => answer.map(|answer| answer.map(|answer| rest_json::ok(&answer))),
                Err(error) => Some(Err(error)),
            }
        }
        Service::Logs => match aws_json::parse(&call.incoming.body) {
            Ok(body) => {
                let answer = logs::answer(here, &call.api, &body);
                answer.map(|answer| answer.map(|answer| aws_json::ok(&answer)))
            }
            Err(error) => Some(Err(error)),
        },
        Service::Ssm
        | Service::Ec2
        | Service::Sts
        | Service::S3
        | Service::Organizations
        | Service::Kms
        | Service::Messages
        | Service::Gateway => None,
    }
}

/// What a service says to an operation that is not simulated.
fn unknown(call: &Call) -> ApiError {
    match call.protocol {
        Protocol::Json if call.service != Service::CloudWatch => ApiError::bare("UnknownOperationException"),
        Protocol::RestJson => ApiError::bare("UnknownOperationException").status(404),
        Protocol::RestXml => ApiError::new(
            "NotImplemented",
            "A header you provided implies functionality that is not implemented.",
        )
        .status(501),
        _ => {
            let message = format!("The action {} is not valid for this web service.", call.api);
            ApiError::new("InvalidAction", message)
        }
    }
}
