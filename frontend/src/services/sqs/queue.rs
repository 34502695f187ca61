//! Finding the queue that a request means.

use super::error::{Result, SqsError};
use super::names::{self, Location};
use super::rows::{QUEUES, QueueId, QueueRow, Settings};
use crate::call::Call;
use cumulog_engine::Read;

/// A queue that exists.
#[derive(Debug, Clone)]
pub(crate) struct Queue {
    pub(crate) account: String,
    pub(crate) region: String,
    pub(crate) name: String,
    pub(crate) row: QueueRow,
}

impl Queue {
    /// The queue at a URL, in the caller's region unless the URL names one that has it.
    pub(crate) fn open(read: &impl Read, call: &Call, url: &str) -> Result<Queue> {
        let location = Location::from_url(url)?;
        let account = location.account.unwrap_or_else(|| call.account.to_string());
        if let Some(region) = location.region.filter(|region| **region != *call.region)
            && let Some(queue) = Queue::find(read, &account, &region, &location.name)?
        {
            return Ok(queue);
        }
        let queue = Queue::find(read, &account, &call.region, &location.name)?;
        queue.ok_or_else(|| SqsError::no_queue(call))
    }

    /// The queue of an ARN.
    pub(crate) fn of_arn(read: &impl Read, arn: &str) -> Result<Option<Queue>> {
        match Location::from_arn(arn) {
            Some(Location {
                account: Some(account),
                region: Some(region),
                name,
            }) => Queue::find(read, &account, &region, &name),
            _ => Ok(None),
        }
    }

    pub(crate) fn find(
        read: &impl Read,
        account: &str,
        region: &str,
        name: &str,
    ) -> Result<Option<Queue>> {
        let key = (account.to_owned(), region.to_owned(), name.to_owned());
        let row = QUEUES.get(read, &key)?;
        let (account, region, name) = key;
        Ok(row.map(|row| Queue {
            account,
            region,
            name,
            row,
        }))
    }

    pub(crate) fn id(&self) -> QueueId {
        self.row.id
    }

    pub(crate) fn settings(&self) -> &Settings {
        &self.row.settings
    }

    pub(crate) fn key(&self) -> (String, String, String) {
        (self.account.clone(), self.region.clone(), self.name.clone())
    }

    pub(crate) fn arn(&self) -> String {
        names::arn(&self.region, &self.account, &self.name)
    }

    pub(crate) fn url(&self, call: &Call) -> String {
        names::url(call.endpoint(), &self.account, &self.name)
    }
}

/// The queue's URL in a request: in its input, or, in the query protocol, the path that it was sent to.
pub(crate) fn url_of(call: &Call, url: &str) -> Result<String> {
    if !url.is_empty() {
        return Ok(url.to_owned());
    }
    let path = call.path.trim_matches('/');
    if path.is_empty() {
        Err(SqsError::MissingParameter("QueueUrl"))
    } else {
        Ok(path.to_owned())
    }
}
