import json


def write(folder, status, steps):
    folder.mkdir(parents=True)
    (folder / "run.json").write_text(json.dumps({"task": "vae", "status": status, "total_steps": steps}))


def test_runs_are_listed_sorted_and_chosen(tmp_path, call):
    write(tmp_path / "short", "finished", 10)
    write(tmp_path / "long", "interrupted", 90)
    listed = call("runs", tmp_path, "--sort", "steps")
    assert listed.code == 0
    assert [line.split()[0] for line in listed.out.splitlines()] == ["run", "long", "short"]
    turned = call("runs", tmp_path, "--sort", "steps", "--reverse")
    assert [line.split()[0] for line in turned.out.splitlines()] == ["run", "short", "long"]
    chosen = json.loads(call("runs", tmp_path, "--status", "interrupted", "--json").out)
    assert [run["name"] for run in chosen] == ["long"]


def test_nothing_to_list_is_said(tmp_path, call):
    assert call("runs", tmp_path).out == f"No runs in {tmp_path}.\n"
    write(tmp_path / "a", "finished", 10)
    told = call("runs", tmp_path, "--status", "failed", "--status", "stalled")
    assert (told.code, told.out) == (0, f"None of 1 runs in {tmp_path} is failed or stalled.\n")
    assert call("runs", tmp_path, "--status", "failed", "--json").out == "[]\n"


def test_slips(tmp_path, call):
    missing = call("runs", tmp_path / "nowhere")
    assert missing.code == 1
    assert "no such folder" in missing.err
    wrong = call("runs", tmp_path, "--sort", "bset")
    assert wrong.code == 1
    assert "Did you mean 'best'" in wrong.err
