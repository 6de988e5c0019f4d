"""The page of the demo, of Gradio's parts. All that it shows is made in `answers` and `words`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pytorch_grad_cam.common.extras import need
from pytorch_grad_cam.demo.answers import Answer, Answers, overlay
from pytorch_grad_cam.demo.desk import Question
from pytorch_grad_cam.demo.words import (
    AUTOMATIC,
    NO_CLASS,
    TOP_CLASS,
    class_list,
    layer_list,
    method_list,
    typed,
)
from pytorch_grad_cam.runs.explained_picture import ExplainedPicture

TITLE = "What does the network look at?"
KEPT_SECONDS = 3600  # of a picture, after which it is deleted
_OPACITY = 0.5
_SWEEP_SECONDS = 60
_WEB_ADDRESS = ("http:", "https:", "ftp:", "data:")
STYLE = """
.gradio-container { max-width: 1200px !important; margin: 0 auto !important; }
.gradio-container { --body-text-color-subdued: #52525b; --block-info-text-color: #52525b; }
.dark .gradio-container { --body-text-color-subdued: #b4b4bd; --block-info-text-color: #b4b4bd; }
#cam-title h1 { margin-bottom: 0; }
#cam-overlay img, #cam-map img, #cam-picture img { width: 100%; height: 100%; object-fit: contain; }
.cam-bars { list-style: none; margin: 0; padding: 0; }
.cam-bars li { display: grid; grid-template-columns: 1fr auto; gap: 2px 12px; margin: 0 0 8px; }
.cam-name { overflow-wrap: anywhere; }
.cam-number { font-variant-numeric: tabular-nums; }
.cam-bar { grid-column: 1 / -1; height: 8px; border-radius: 4px; background: var(--border-color-primary); }
.cam-bar span { display: block; height: 100%; border-radius: 4px; background: var(--color-accent); }
.cam-quiet { color: var(--body-text-color-subdued); }
.cam-note { border-left: 4px solid #d97706; padding: 4px 0 4px 12px; margin: 8px 0; overflow-wrap: anywhere; }
"""


class Page:
    """Builds the page, and puts answers into its parts.

    Args:
        answers: what is shown.
        examples: files of pictures that can be taken with a click; the first is explained when the page opens.

    Raises:
        ImportError: if Gradio is missing.
    """

    def __init__(self, answers: Answers, examples: Sequence[Path] = ()) -> None:
        self._gradio: Any = need("gradio")
        self._answers, self._examples = answers, [str(path) for path in examples]
        self.blocks = self._build()

    def _build(self) -> Any:
        gr = self._gradio
        with gr.Blocks(title=TITLE, analytics_enabled=False, delete_cache=(_SWEEP_SECONDS, KEPT_SECONDS)) as blocks:
            gr.Markdown(
                f"# {TITLE}\nDrop a picture. The map shows which parts of it raise the score of a class.",
                elem_id="cam-title",
            )
            with gr.Row():
                with gr.Column(min_width=300):
                    picture = self._picture()
                with gr.Column(min_width=300):
                    found, drawn, caption, opacity = self._map_parts()
            with gr.Row():
                choices = self._choices()
            with gr.Row():
                with gr.Column(min_width=300):
                    gr.Markdown("### What the network sees")
                    bars = gr.HTML(elem_id="cam-seen", padding=False)
                with gr.Column(min_width=300):
                    heat = self._drawing("Map", "cam-map")
            gr.Markdown("Pictures go to this server only; they are deleted after an hour, and used for nothing else.")
            asked, shown = [picture, *choices], [found, drawn, heat, bars, caption]
            self._connect(blocks, asked, opacity, shown)
        return blocks

    def _picture(self) -> Any:
        gr = self._gradio
        picture = gr.Image(
            label="Picture",
            value=self._examples[0] if self._examples else None,
            type="filepath",
            image_mode=None,
            sources=["upload", "clipboard"],
            height=430,
            buttons=[],
            elem_id="cam-picture",
        )
        _take_only_uploads(picture, gr.Error)
        if self._examples:
            gr.Examples([[path] for path in self._examples], [picture], cache_examples=False, api_visibility="private")
        return picture

    def _choices(self) -> list[Any]:
        """Make the lists: network, method, class, second class, layer."""
        gr, networks = self._gradio, list(self._answers.desks)
        layers = layer_list(self._answers.desks[networks[0]].layers)
        return [
            gr.Dropdown(
                networks, value=networks[0], label="Network", info="Which?", visible=len(networks) > 1, min_width=210
            ),
            gr.Dropdown(method_list(), value="gradcam", label="Method", info="How is it explained?", min_width=210),
            gr.Dropdown(
                class_list(None, TOP_CLASS),
                value=TOP_CLASS,
                label="Class",
                info="Of the list, or type any.",
                allow_custom_value=True,
                min_width=210,
            ),
            gr.Dropdown(
                class_list(None, NO_CLASS),
                value=NO_CLASS,
                label="Rather than",
                info="Why not this class?",
                allow_custom_value=True,
                min_width=210,
            ),
            gr.Dropdown(layers, value=AUTOMATIC, label="Layer", info="Where is it looked at?", min_width=210),
        ]

    def _map_parts(self) -> list[Any]:
        gr = self._gradio
        return [
            gr.State(None, time_to_live=KEPT_SECONDS),
            self._drawing("Overlay", "cam-overlay"),
            gr.HTML(elem_id="cam-caption", padding=False),
            gr.Slider(0, 1, value=_OPACITY, step=0.05, label="Opacity of the map"),
        ]

    def _drawing(self, label: str, name: str) -> Any:
        return self._gradio.Image(
            label=label,
            interactive=False,
            buttons=["download", "fullscreen"],
            format="png",
            height=360,
            elem_id=name,
        )

    def _connect(self, blocks: Any, asked: list[Any], opacity: Any, shown: list[Any]) -> None:
        picture, network, method, category, rather, layer = asked
        hidden: dict[str, Any] = {
            "api_visibility": "private",
            "show_progress": "minimal",
            "concurrency_id": "maps",
            "concurrency_limit": len(self._answers.desks),
        }
        inputs, outputs = [*asked, opacity], [*shown, category, rather]
        latest = {**hidden, "trigger_mode": "always_last"}
        for part in (method, category, rather, layer):
            part.input(self._explain, inputs, outputs, **latest)
        new = [picture, network, method, opacity]
        picture.change(self._explain_new, new, [*outputs, layer], **latest)
        network.input(self._explain_new, new, [*outputs, layer], **latest)
        if self._examples:
            blocks.load(self._explain_new, new, [*outputs, layer], **hidden)
        opacity.release(
            _redrawn, [shown[0], opacity], shown[1], api_visibility="private", show_progress="hidden", queue=True
        )

    def _explain_new(self, path: str | None, network: str, method: str, opacity: float) -> list[Any]:
        """Answer for another picture or network, of which neither classes nor layers are known yet."""
        gr = self._gradio
        answer = self._answers.answer(path, network, Question(method), opacity)
        desk = self._answers.desks.get(network)
        layers = gr.skip() if desk is None else gr.Dropdown(choices=layer_list(desk.layers), value=AUTOMATIC)
        classes = gr.Dropdown(choices=answer.classes, value=TOP_CLASS)
        return [*_drawn(answer), classes, gr.Dropdown(choices=answer.others, value=NO_CLASS), layers]

    def _explain(
        self, path: str | None, network: str, method: str, category: Any, rather: Any, layer: Any, opacity: float
    ) -> list[Any]:
        """Answer another question to the same picture; what is offered stays."""
        gr = self._gradio
        question = Question(method, typed(category, TOP_CLASS), typed(rather, NO_CLASS), typed(layer, AUTOMATIC))
        answer = self._answers.answer(path, network, question, opacity)
        if answer.found is None:
            found, drawn, heat, _, caption = _drawn(answer)
            return [found, drawn, heat, gr.skip() if path else "", caption, gr.skip(), gr.skip()]
        return [*_drawn(answer), gr.Dropdown(choices=answer.classes), gr.Dropdown(choices=answer.others)]


def _drawn(answer: Answer) -> list[Any]:
    return [answer.found, answer.overlay, answer.heatmap, answer.bars, answer.caption]


def _redrawn(found: ExplainedPicture | None, opacity: float) -> Any:
    return None if found is None else overlay(found, opacity)


def _take_only_uploads(picture: Any, refusal: type[Exception]) -> None:
    """Let a part for pictures take what was uploaded here, as the file it is, and nothing that is fetched or decoded.

    Gradio would fetch a web address that somebody sends in the place of a picture, and decode the file without a limit.
    """
    to_cache = picture.async_move_resource_to_block_cache

    async def only_uploads(path: Any) -> Any:
        if str(path).strip().lower().startswith(_WEB_ADDRESS):
            raise refusal("Pictures are uploaded here, not fetched: drop a file.")
        return await to_cache(path)

    picture.async_move_resource_to_block_cache = only_uploads
    picture.preprocess = lambda payload: None if payload is None else payload.path
