use super::*;

const SCHEMA: Schema = Schema {
    create: &["CREATE TABLE item (id INTEGER PRIMARY KEY, body BLOB NOT NULL) STRICT;"],
    count: "SELECT count(*) FROM item",
};

fn directory(path: &Path, bounds: Bounds, clock: &Clock) -> Directory {
    Directory::open(path, SCHEMA, bounds, clock.clone()).unwrap()
}

fn write(directory: &mut Directory, bytes: usize) -> Turn {
    let (_, connection, turn) = directory.current().unwrap();
    connection.execute("INSERT INTO item (body) VALUES (?1)", [vec![7_u8; bytes]]).unwrap();
    directory.wrote(1);
    turn
}

const WIDE: Bounds = Bounds { bytes_max: 1 << 30, age_max: Duration::from_hours(24) };

#[test]
fn what_was_written_is_found_again_and_the_young_file_is_written_on() {
    let temporary = tempfile::tempdir().unwrap();
    let clock = Clock::manual();
    let mut first = directory(temporary.path(), WIDE, &clock);
    assert_eq!(write(&mut first, 10), Turn::Fresh);
    assert_eq!(write(&mut first, 10), Turn::Same);
    drop(first);
    let mut again = directory(temporary.path(), WIDE, &clock);
    assert_eq!(again.segments().count(), 2);
    assert_eq!(write(&mut again, 10), Turn::Fresh);
    assert_eq!(again.segments().newest_first().len(), 1);
    let kept: i64 = again.segments().newest_first()[0]
        .read(|connection| Ok(connection.query_row(SCHEMA.count, [], |row| row.get(0))?))
        .unwrap();
    assert_eq!(kept, 3);
}

#[test]
fn bytes_are_bounded_while_writing_and_the_oldest_goes_first() {
    let temporary = tempfile::tempdir().unwrap();
    let clock = Clock::manual();
    let bounds = Bounds { bytes_max: 4 << 20, ..WIDE };
    let mut directory = directory(temporary.path(), bounds, &clock);
    let on_disk = || -> u64 {
        std::fs::read_dir(temporary.path())
            .unwrap()
            .map(|entry| entry.unwrap())
            .filter(|entry| !entry.file_name().to_string_lossy().ends_with("-shm"))
            .map(|entry| entry.metadata().unwrap().len())
            .sum()
    };
    for _ in 0..150 {
        write(&mut directory, 100_000);
        clock.advance(Duration::from_millis(5));
        // One write may stand above the bound until the oldest has gone.
        assert!(on_disk() <= bounds.bytes_max + 300_000, "{} bytes", on_disk());
    }
    let all = directory.segments().newest_first();
    assert!(all.len() > 4, "{} segments", all.len());
    assert!(all.windows(2).all(|pair| pair[0].started() > pair[1].started()));
}

#[test]
fn age_is_bounded_though_nothing_is_written() {
    let temporary = tempfile::tempdir().unwrap();
    let clock = Clock::manual();
    let bounds = Bounds { age_max: Duration::from_hours(4), ..WIDE };
    let mut directory = directory(temporary.path(), bounds, &clock);
    write(&mut directory, 10);
    clock.advance(Duration::from_mins(61));
    write(&mut directory, 10);
    assert_eq!(directory.segments().newest_first().len(), 2);
    clock.advance(Duration::from_mins(200));
    directory.reclaim();
    assert_eq!(directory.segments().newest_first().len(), 1);
    clock.advance(Duration::from_mins(200));
    directory.reclaim();
    assert_eq!(std::fs::read_dir(temporary.path()).unwrap().count(), 0);
}

#[test]
fn a_reader_of_a_deleted_segment_reads_to_its_end() {
    let temporary = tempfile::tempdir().unwrap();
    let clock = Clock::manual();
    let mut directory = directory(temporary.path(), WIDE, &clock);
    write(&mut directory, 10);
    let segment = directory.segments().newest_first().remove(0);
    let read = segment.read(|connection| {
        clock.advance(Duration::from_hours(48));
        directory.reclaim();
        Ok(connection.query_row(SCHEMA.count, [], |row| row.get::<_, i64>(0))?)
    });
    assert_eq!(read.unwrap(), 1);
}

#[test]
fn a_file_that_is_none_is_set_aside() {
    let temporary = tempfile::tempdir().unwrap();
    let path = temporary.path().join("00000000000001.db");
    std::fs::write(&path, "this is no database at all, by any measure").unwrap();
    let directory = directory(temporary.path(), WIDE, &Clock::manual());
    assert_eq!(directory.segments().newest_first().len(), 0);
    assert!(path.with_extension("unreadable").exists());
}
