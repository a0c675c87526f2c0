//! What a real agent and its client tell one another at the beginning, for the session's record. A stand-in tells by itself.

use crate::sessions::record::Meter;
use bytes::Bytes;
use herder_session::frame::{DigestCheck, Frame, PayloadType};
use herder_session::payload::{ActionStatus, HandshakeRequest, HandshakeResponse, JsonPayload};

/// Where a frame has its payload's type.
const PAYLOAD_TYPE: std::ops::Range<usize> = 112..116;

/// The payload of a frame of this type.
fn payload(frame: &Bytes, wanted: PayloadType) -> Option<Bytes> {
    if frame.get(PAYLOAD_TYPE) != Some(u32::from(wanted).to_be_bytes().as_slice()) {
        return None;
    }
    Frame::decode(frame.clone(), DigestCheck::Skipped).ok().map(|frame| frame.payload)
}

/// Notes the agent's version.
pub(super) fn from_agent(frame: &Bytes, meter: &Meter) {
    let request = payload(frame, PayloadType::HandshakeRequest)
        .and_then(|payload| HandshakeRequest::from_json(&payload).ok());
    if let Some(request) = request {
        meter.notes().agent_version = request.agent_version;
    }
}

/// Notes the client's version, and whether it has a key.
pub(super) fn from_client(frame: &Bytes, meter: &Meter) {
    let response = payload(frame, PayloadType::HandshakeResponse)
        .and_then(|payload| HandshakeResponse::from_json(&payload).ok());
    if let Some(response) = response {
        let has_key = response.processed_client_actions.iter().any(|action| {
            action.action_type == "KMSEncryption" && action.action_status == ActionStatus::Success
        });
        let mut notes = meter.notes();
        notes.client_version = response.client_version;
        notes.is_encrypted = has_key;
    }
}
