"""Who is killed, and which guest is admitted."""


def test_oom_score_is_rss_vmm_and_host_tables(make_host):
    host = make_host(100_000, thp=False)
    guest = host.add_guest(10_000, 77)
    guest.touch(0, 1024)
    assert guest.oom_badness == 1024 + 77 + 2 + 1
    assert guest.table_frames == (3, 3)


def test_oom_takes_the_largest_and_the_oldest_of_equals(make_host):
    host = make_host(100_000, thp=False)
    guests = [host.add_guest(10_000) for _ in range(3)]
    assert host.oom_victim() is guests[0]
    guests[1].touch(0, 100)
    guests[2].touch(0, 100)
    assert host.oom_victim() is guests[1]
    guests[2].touch(100)
    assert host.oom_victim() is guests[2]


def test_oom_score_adj(make_host):
    host = make_host(100_000, thp=False)
    large = host.add_guest(10_000, oom_score_adj=-1000)
    small = host.add_guest(10_000)
    large.touch(0, 5_000)
    assert host.oom_kill() is small
    assert host.oom_kill() is None
    preferred = host.add_guest(10_000, oom_score_adj=100)
    assert preferred.oom_badness == 10_000
    assert host.oom_victim() is preferred


def test_admission(make_host):
    host = make_host(1000)
    assert host.admits(1000)
    assert not host.admits(1001)
    assert host.admits(1001, overcommit=1)
    assert host.admits(450, 50, overcommit=2)
    assert not host.admits(450, 51, overcommit=2)
    host.add_guest(600, ram_frames=400)
    assert host.admits(600, reservation=1.0)
    assert not host.admits(601, reservation=1.0)
    assert not host.admits(200, overcommit=2)
