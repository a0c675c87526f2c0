//! The services around the fleet, through HTTP: groups and health, alarms, storage, accounts and regions, big commands.

mod accounts;
mod alarms;
mod calendars;
mod client;
mod groups;
mod scale;
mod storage;
