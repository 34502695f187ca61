//! How much memory the state may take: a number of bytes, or a share of what the machine, or the container, has.

use std::{
    fmt, fs,
    path::{Path, PathBuf},
    str::FromStr,
};

/// As `--memory-limit` gives it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Limit {
    Bytes(u64),
    /// 1 to 100.
    Percent(u8),
}

/// Half of it: what requests hold, older states that someone still reads, and allocations' margins come on top.
impl Default for Limit {
    fn default() -> Self {
        Limit::Percent(50)
    }
}

impl FromStr for Limit {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let parsed = match text.strip_suffix('%') {
            Some(percent) => percent.trim().parse().ok().map(Limit::Percent),
            None => bytes(text).map(Limit::Bytes),
        };
        parsed
            .filter(|limit| matches!(limit, Limit::Bytes(1..) | Limit::Percent(1..=100)))
            .ok_or_else(|| {
                format!("`{text}` is not a size such as 1073741824, 512MiB, 2GiB or 50%")
            })
    }
}

/// A number, and a power of 1024.
fn bytes(text: &str) -> Option<u64> {
    let digits = text.find(|c: char| !c.is_ascii_digit());
    let (number, unit) = text.split_at(digits.unwrap_or(text.len()));
    let unit = match unit.trim_start() {
        "" | "B" => 1,
        "KiB" => 1 << 10,
        "MiB" => 1 << 20,
        "GiB" => 1 << 30,
        _ => return None,
    };
    number.parse::<u64>().ok()?.checked_mul(unit)
}

/// The limit in force.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Budget {
    /// `None`: a share of something unknown.
    pub(crate) bytes: Option<u64>,
    limit: Limit,
    machine_bytes: Option<u64>,
}

impl Limit {
    /// What that is here.
    pub(crate) fn resolve(self) -> Budget {
        self.of(machine_bytes())
    }

    fn of(self, machine_bytes: Option<u64>) -> Budget {
        let bytes = match self {
            Limit::Bytes(bytes) => Some(bytes),
            Limit::Percent(percent) => {
                machine_bytes.map(|machine| machine / 100 * u64::from(percent))
            }
        };
        Budget {
            bytes,
            limit: self,
            machine_bytes,
        }
    }
}

impl Budget {
    /// How many bytes of request bodies may be in memory at a time: a quarter of the state's, on top of that, but at least one
    /// body of the largest size.
    pub(crate) fn bodies_bytes(&self, body_bytes_max: usize) -> usize {
        let quarter = self.bytes.unwrap_or(BODIES_BYTES_OTHERWISE << 2) >> 2;
        usize::try_from(quarter)
            .unwrap_or(usize::MAX)
            .max(body_bytes_max)
    }
}

/// Where nobody knows how much there is.
const BODIES_BYTES_OTHERWISE: u64 = 1 << 30;

impl fmt::Display for Budget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.bytes, self.limit, self.machine_bytes) {
            (None, ..) => f.write_str("no limit: how much there is can't be told here"),
            (Some(bytes), Limit::Percent(percent), Some(machine)) => write!(
                f,
                "up to {} for the state, {percent}% of {}",
                Size(bytes),
                Size(machine)
            ),
            (Some(bytes), ..) => write!(f, "up to {} for the state", Size(bytes)),
        }
    }
}

/// Bytes as people read them.
pub(crate) struct Size(pub(crate) u64);

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let units = [(30, "GiB"), (20, "MiB"), (10, "KiB")];
        match units.iter().find(|(power, _)| self.0 >> power > 0) {
            None => write!(f, "{} bytes", self.0),
            Some((power, unit)) => {
                let whole = self.0 >> power << power == self.0;
                let count = self.0 as f64 / (1u64 << power) as f64;
                write!(f, "{count:.*} {unit}", usize::from(!whole))
            }
        }
    }
}

/// What the machine has, or what the control groups of this process leave of it.
fn machine_bytes() -> Option<u64> {
    let read = |path: &Path| fs::read_to_string(path).ok();
    let total = read(Path::new("/proc/meminfo")).and_then(|text| total_bytes(&text));
    let groups = read(Path::new("/proc/self/cgroup")).unwrap_or_default();
    group_limits(&groups, read).chain(total).min()
}

fn total_bytes(meminfo: &str) -> Option<u64> {
    let line = meminfo
        .lines()
        .find_map(|line| line.strip_prefix("MemTotal:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    kib.checked_mul(1 << 10)
}

/// The limits of all control groups that this process is in, and of those around them; version 2, or version 1.
fn group_limits(groups: &str, read: impl Fn(&Path) -> Option<String>) -> impl Iterator<Item = u64> {
    let files = groups.lines().flat_map(limit_files);
    // `max`, and other things that are no number, are no limit.
    files.filter_map(move |file| read(&file)?.trim().parse().ok())
}

/// Where the limits stand of the group in a line of `/proc/self/cgroup`.
fn limit_files(line: &str) -> Vec<PathBuf> {
    let mut fields = line.splitn(3, ':').skip(1);
    let (Some(controllers), Some(group)) = (fields.next(), fields.next()) else {
        return Vec::new();
    };
    let (top, name) = match controllers {
        "" => ("/sys/fs/cgroup", "memory.max"),
        _ if controllers.split(',').any(|one| one == "memory") => {
            ("/sys/fs/cgroup/memory", "memory.limit_in_bytes")
        }
        _ => return Vec::new(),
    };
    let group = Path::new(group.trim_start_matches('/'));
    // Inside a container, the group's own name may be that of the host: then only the top is there.
    group
        .ancestors()
        .map(|group| Path::new(top).join(group).join(name))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_bytes_units_or_shares() {
        let check = |text: &str, expected| assert_eq!(text.parse(), Ok(expected));
        check("1", Limit::Bytes(1));
        check("1073741824", Limit::Bytes(1 << 30));
        check("64KiB", Limit::Bytes(64 << 10));
        check("512 MiB", Limit::Bytes(512 << 20));
        check("2GiB", Limit::Bytes(2 << 30));
        check("50%", Limit::Percent(50));
        check("100 %", Limit::Percent(100));
        for text in [
            "",
            "0",
            "0%",
            "101%",
            "-1",
            "1.5GiB",
            "1GB",
            "much",
            "%",
            "MiB",
            "99999999999999999999",
            "17179869184GiB",
            "1MiB2",
        ] {
            let error = text.parse::<Limit>().unwrap_err();
            assert!(
                error.starts_with(&format!("`{text}` is not a size")),
                "{error}"
            );
        }
    }

    #[test]
    fn a_share_is_of_the_machine_or_of_nothing() {
        assert_eq!(Limit::Percent(25).of(Some(1000)).bytes, Some(250));
        assert_eq!(Limit::Percent(25).of(None).bytes, None);
        assert_eq!(Limit::Bytes(7).of(None).bytes, Some(7));
        let shown = |limit: Limit, machine| limit.of(machine).to_string();
        assert_eq!(
            shown(Limit::Percent(50), Some(3 << 30)),
            "up to 1.5 GiB for the state, 50% of 3 GiB"
        );
        assert_eq!(
            shown(Limit::Bytes(1 << 20), None),
            "up to 1 MiB for the state"
        );
    }

    /// Files that hold this.
    fn limits(groups: &str, files: &[(&str, &str)]) -> Vec<u64> {
        let read = |path: &Path| {
            let file = files.iter().find(|(name, _)| Path::new(name) == path);
            file.map(|(_, text)| format!("{text}\n"))
        };
        group_limits(groups, read).collect()
    }

    #[test]
    fn the_limits_of_groups_around_ours_count_too() {
        let unified = "/sys/fs/cgroup";
        let files = [
            (&*format!("{unified}/a/b/memory.max"), "max"),
            (&*format!("{unified}/a/memory.max"), "1000"),
            (&*format!("{unified}/memory.max"), "2000"),
        ];
        assert_eq!(limits("0::/a/b\n", &files), [1000, 2000]);
        // In a container of its own name space.
        assert_eq!(limits("0::/\n", &files), [2000]);
        assert!(limits("", &files).is_empty());
        assert_eq!(limits("nonsense\n0::\n", &files), [2000]);
    }

    #[test]
    fn older_groups_are_found_by_their_controller() {
        let file = "/sys/fs/cgroup/memory/docker/x/memory.limit_in_bytes";
        let groups = "5:cpu,cpuacct:/other\n4:memory:/docker/x\n1:name=systemd:/y\n";
        assert_eq!(limits(groups, &[(file, "3000")]), [3000]);
        let top = "/sys/fs/cgroup/memory/memory.limit_in_bytes";
        assert_eq!(
            limits(groups, &[(top, "9223372036854771712")]),
            [9_223_372_036_854_771_712]
        );
        assert!(limits("4:memoryless:/x\n", &[(top, "1")]).is_empty());
    }

    #[test]
    fn the_machine_says_how_much_it_has() {
        assert_eq!(
            total_bytes("MemTotal:       1024 kB\nMemFree: 1 kB\n"),
            Some(1 << 20)
        );
        assert_eq!(total_bytes("MemFree: 1 kB\n"), None);
        if cfg!(target_os = "linux") {
            assert!(machine_bytes().is_some_and(|bytes| bytes > 1 << 20));
        }
    }
}
