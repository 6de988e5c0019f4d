"""METHODS: every method by its command-line name. The only list of methods there is; reading it loads none of them."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from pytorch_grad_cam.base_cam import BaseCAM


class Method(NamedTuple):
    """One row of the table.

    Attributes:
        name: on the command line.
        path: "module:Class".
        summary: one line: what is highlighted.
        passes: per image: F and B forward and backward, Ft and Bt only through what follows the layer,
            K channels, n positions, N changed images.
        source: authors, year, arXiv id or DOI.
        aliases: other spellings.
        needs: what a network must have, empty if any will do: "pooled head" (global average pooling and one linear
            layer), "attention" (self-attention over all tokens).
    """

    name: str
    path: str
    summary: str
    passes: str
    source: str
    aliases: tuple[str, ...] = ()
    needs: str = ""

    @property
    def module(self) -> str:
        """The module inside the package that has the class."""
        return self.path.partition(":")[0].removeprefix("pytorch_grad_cam.")

    @property
    def class_name(self) -> str:
        """The name of the class."""
        return self.path.partition(":")[2]

    def load(self) -> type[BaseCAM]:
        """Import the method's class."""
        found: type[BaseCAM] = getattr(import_module(f"pytorch_grad_cam.{self.module}"), self.class_name)
        return found


_ROWS = (
    Method(
        "gradcam",
        "pytorch_grad_cam.grad_cam:GradCAM",
        "channels weighted by their mean gradient",
        "F + Bt",
        "Selvaraju et al. 2017, arXiv:1610.02391",
    ),
    Method(
        "hirescam",
        "pytorch_grad_cam.hirescam:HiResCAM",
        "every activation times its own gradient",
        "F + Bt",
        "Draelos and Carin 2020, arXiv:2011.08891",
    ),
    Method(
        "gradcam++",
        "pytorch_grad_cam.grad_cam_plusplus:GradCAMPlusPlus",
        "positive gradients, the strongest most; much the same for every class",
        "F + Bt",
        "Chattopadhay et al. 2018, arXiv:1710.11063",
        ("gradcamplusplus", "gradcampp"),
    ),
    Method(
        "xgradcam",
        "pytorch_grad_cam.xgrad_cam:XGradCAM",
        "gradients averaged with the activations as weights",
        "F + Bt",
        "Fu et al. 2020, arXiv:2008.02312",
    ),
    Method(
        "layercam",
        "pytorch_grad_cam.layer_cam:LayerCAM",
        "every activation times its positive gradient; for early layers too",
        "F + Bt",
        "Jiang et al. 2021, doi:10.1109/TIP.2021.3089943",
    ),
    Method(
        "gradcamelementwise",
        "pytorch_grad_cam.grad_cam_elementwise:GradCAMElementWise",
        "positive gradient times activation, before anything cancels",
        "F + Bt",
        "variant of the package grad-cam",
    ),
    Method(
        "shapleycam",
        "pytorch_grad_cam.shapley_cam:ShapleyCAM",
        "channels weighted by gradient and curvature: GradCAM that sees saturation",
        "F + 3 Bt",
        "Cai 2025, arXiv:2501.06261",
        ("shapley",),
    ),
    Method(
        "scorecam",
        "pytorch_grad_cam.score_cam:ScoreCAM",
        "channels that keep the score up when they mask the image",
        "(1 + K) F",
        "Wang et al. 2020, arXiv:1910.01279",
    ),
    Method(
        "ablationcam",
        "pytorch_grad_cam.ablation_cam:AblationCAM",
        "channels without which the score drops",
        "F + (2 + K) Ft",
        "Desai and Ramaswamy 2020, doi:10.1109/WACV45572.2020.9093360",
    ),
    Method(
        "fullgrad",
        "pytorch_grad_cam.fullgrad_cam:FullGrad",
        "what the input and every bias contributed",
        "F + B",
        "Srinivas and Fleuret 2019, arXiv:1905.00780",
    ),
    Method(
        "eigencam",
        "pytorch_grad_cam.eigen_cam:EigenCAM",
        "what stands out in the activations, whatever the class",
        "F",
        "Muhammad and Yeasin 2020, arXiv:2008.00299",
    ),
    Method(
        "eigengradcam",
        "pytorch_grad_cam.eigen_grad_cam:EigenGradCAM",
        "what stands out in gradient times activation",
        "F + Bt",
        "variant of the package grad-cam",
    ),
    Method(
        "segeigencam",
        "pytorch_grad_cam.seg_eigen_cam:SegEigenCAM",
        "what stands out where the score is sensitive; for segmentation",
        "F + Bt",
        "Chung and Ying 2025, doi:10.3390/app15137562",
    ),
    Method(
        "kpcacam",
        "pytorch_grad_cam.kpca_cam:KPCA_CAM",
        "what stands out in the activations along a curve, whatever the class",
        "F",
        "Karmani et al. 2024, arXiv:2410.00267",
        ("kpca",),
    ),
    Method(
        "fem",
        "pytorch_grad_cam.fem:FEM",
        "places where channels are rarely as active, whatever the class",
        "F",
        "Fuad et al. 2020, doi:10.1109/IPTA50016.2020.9286629",
    ),
    Method(
        "finercam",
        "pytorch_grad_cam.finer_cam:FinerCAM",
        "what distinguishes a class from the three most similar ones; GradCAM inside",
        "F + Bt",
        "Zhang et al. 2025, arXiv:2501.11309",
        ("finer",),
    ),
    Method(
        "refinecam",
        "pytorch_grad_cam.refine_cam:RefineCAM",
        "what layers of several resolutions agree on; HiResCAM inside, or GradCAM++ where layers are given",
        "F + Bt",
        "Domeniconi et al. 2026, arXiv:2605.14641",
        ("refine",),
    ),
    Method(
        "sess",
        "pytorch_grad_cam.sess:SESS",
        "objects of any size in any place, by N windows at 12 scales; GradCAM inside",
        "(1 + N) (F + Bt)",
        "Tursun et al. 2022, arXiv:2207.01769",
    ),
    Method(
        "vanillagradient",
        "pytorch_grad_cam.vanilla_gradient:VanillaGradient",
        "input values that change the score most when they change a little",
        "F + B",
        "Simonyan et al. 2013, arXiv:1312.6034",
        ("gradient", "saliency"),
    ),
    Method(
        "smoothgrad",
        "pytorch_grad_cam.smooth_grad:SmoothGrad",
        "input gradients averaged over N noisy copies (N = 25)",
        "F + N (F + B)",
        "Smilkov et al. 2017, arXiv:1706.03825",
    ),
    Method(
        "vargrad",
        "pytorch_grad_cam.var_grad:VarGrad",
        "where input gradients vary between N noisy copies (N = 25)",
        "F + N (F + B)",
        "Adebayo et al. 2018, arXiv:1810.03292",
    ),
    Method(
        "integratedgradients",
        "pytorch_grad_cam.integrated_gradients:IntegratedGradients",
        "what accounts for the difference from a blank image, in N steps (N = 50)",
        "2 F + N (F + B)",
        "Sundararajan et al. 2017, arXiv:1703.01365",
        ("ig",),
    ),
    Method(
        "guidedgradcam",
        "pytorch_grad_cam.guided_grad_cam:GuidedGradCAM",
        "edges and details inside the map of GradCAM; ReLU networks",
        "2 F + Bt + B",
        "Selvaraju et al. 2017, arXiv:1610.02391",
    ),
    Method(
        "rise",
        "pytorch_grad_cam.rise:RISE",
        "places that raise the score when N random masks show them (N = 1000)",
        "(1 + N) F",
        "Petsiuk et al. 2018, arXiv:1806.07421",
    ),
    Method(
        "cam",
        "pytorch_grad_cam.class_activation_mapping:CAM",
        "what the network's last linear layer counts for the class; after global average pooling",
        "F",
        "Zhou et al. 2016, arXiv:1512.04150",
        needs="pooled head",
    ),
    Method(
        "smoothgradcam++",
        "pytorch_grad_cam.smooth_grad_cam_plusplus:SmoothGradCAMPlusPlus",
        "what GradCAM++ shows, from gradients of N noisy copies (N = 8); much the same for every class",
        "F + N (F + Bt)",
        "Omeiza et al. 2019, arXiv:1908.01224",
        ("smoothgradcamplusplus", "smoothgradcampp"),
    ),
    Method(
        "sscam",
        "pytorch_grad_cam.ss_cam:SSCAM",
        "channels that keep the score up as N noisy masks of the image (N = 35)",
        "(1 + N K) F",
        "Wang et al. 2020, arXiv:2006.14255",
    ),
    Method(
        "iscam",
        "pytorch_grad_cam.is_cam:ISCAM",
        "channels that keep the score up while the masked image fades in, in N steps (N = 10)",
        "(1 + N K) F",
        "Naidu et al. 2020, arXiv:2010.03023",
    ),
    Method(
        "gscorecam",
        "pytorch_grad_cam.gscore_cam:GScoreCAM",
        "what ScoreCAM shows, from the channels with the largest mean gradient (K = 300)",
        "(1 + K) F + Bt",
        "Chen et al. 2022, ACCV",
    ),
    Method(
        "reciprocam",
        "pytorch_grad_cam.recipro_cam:ReciproCAM",
        "positions whose features alone bring the score",
        "F + (2 + n) Ft",
        "Byun and Lee 2022, arXiv:2209.14074",
        ("recipro",),
    ),
    Method(
        "vitreciprocam",
        "pytorch_grad_cam.vit_recipro_cam:ViTReciproCAM",
        "patches that alone, next to the class token, bring the score",
        "F + (2 + n) Ft",
        "Byun and Lee 2023, arXiv:2310.02588",
        ("vitrecipro",),
        needs="attention",
    ),
    Method(
        "opticam",
        "pytorch_grad_cam.opti_cam:OptiCAM",
        "the sum of channels that is the best mask, found in N steps (N = 100)",
        "F + N (F + B)",
        "Zhang et al. 2023, arXiv:2301.07002",
    ),
    Method(
        "attentionrollout",
        "pytorch_grad_cam.attention_rollout:AttentionRollout",
        "patches that reach the head through the attention of all blocks, whatever the class",
        "F + Bt",
        "Abnar and Zuidema 2020, arXiv:2005.00928",
        ("rollout",),
        needs="attention",
    ),
    Method(
        "attentionrelevance",
        "pytorch_grad_cam.attention_relevance:AttentionRelevance",
        "patches that attention brings to the head where that raises the score",
        "F + B + Bt",
        "Chefer et al. 2021, arXiv:2103.15679",
        ("chefer",),
        needs="attention",
    ),
    Method(
        "legrad",
        "pytorch_grad_cam.le_grad:LeGrad",
        "patches to which more attention would raise the score",
        "F + 3 Ft + 2 Bt",
        "Bousselham et al. 2024, arXiv:2404.03214",
        needs="attention",
    ),
    Method(
        "randomcam",
        "pytorch_grad_cam.random_cam:RandomCAM",
        "random weights: the floor that a method has to beat",
        "F",
        "baseline of the package grad-cam",
    ),
)

METHODS = {method.name: method for method in _ROWS}


def method_name(name: str) -> str:
    """Return the command-line name for any spelling: case, ``-``, ``_`` and blanks do not count.

    Raises:
        ValueError: for an unknown method; the message names the closest.
    """
    spellings = {spelling: method.name for method in _ROWS for spelling in (method.name, *method.aliases)}
    plain = name.lower().replace("-", "").replace("_", "").replace(" ", "")
    if plain in spellings:
        return spellings[plain]
    import difflib  # only for who mistyped: this module is loaded with the package

    close = difflib.get_close_matches(plain, spellings, n=1)
    hint = f"did you mean {spellings[close[0]]!r}? Known" if close else "known"
    raise ValueError(f"unknown method {name!r}; {hint}: {', '.join(dict.fromkeys(spellings.values()))}")


def method_class(name: str) -> type[BaseCAM]:
    """Return the class of a method, by any spelling of its name."""
    return METHODS[method_name(name)].load()
