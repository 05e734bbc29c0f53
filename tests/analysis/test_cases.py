from voxloom.analysis.cases import chosen_cases


def test_cases_are_the_extremes_and_an_even_choice() -> None:
    names = [f"{i:02d}" for i in range(21)]
    values = {name: {"psnr": float(i)} for i, name in enumerate(names)} | {"20": {"psnr": float("inf")}}
    assert chosen_cases(names, values) == [
        ("best", "20"),
        ("median", "10"),
        ("worst", "00"),
        *(("", name) for name in ("16", "12", "08", "04")),
    ]
    assert chosen_cases(names[:2], values) == [("", "00"), ("", "01")]
    assert chosen_cases(names, {}, others=1) == [("", name) for name in names[:4]]
    assert len({name for _, name in chosen_cases(names[:5], values)}) == 5
