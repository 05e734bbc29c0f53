from voxloom.config import load_config


def test_the_shipped_configurations_are_written_and_none_is_replaced(call, tmp_path):
    (tmp_path / "config").mkdir()
    (tmp_path / "config" / "demo.json").write_text("{}")
    done = call("init", tmp_path / "config")
    assert done.code == 0
    assert f"kept     {tmp_path / 'config' / 'demo.json'}" in done.out
    assert (tmp_path / "config" / "demo.json").read_text() == "{}"
    names = {path.name for path in (tmp_path / "config").iterdir()}
    assert {"vae_config.json", "environment_tif.json", "config_train_16g_cond.json"} <= names
    assert not any(name.startswith("_") or name.endswith(".py") for name in names)
    load_config("vae", [tmp_path / "config" / "vae_config.json"])
    assert "written" not in call("init", tmp_path / "config").out
