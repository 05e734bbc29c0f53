from voxloom.analysis.markup import Markup, element, joined


def test_text_and_attributes_are_escaped_and_elements_are_not() -> None:
    inner = element("b", "<script>")
    assert element("p", inner, "&", title='"x" <') == (
        '<p title="&quot;x&quot; &lt;"><b>&lt;script&gt;</b>&amp;</p>'
    )


def test_nothing_is_left_out_quietly_but_none() -> None:
    assert joined(None, "", "a", Markup("<br>")) == "a<br>"
    assert element("img", src="x") == '<img src="x">'
    assert isinstance(element("p"), Markup)
