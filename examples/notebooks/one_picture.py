# %% [markdown]
# # One picture
# From the name of a network and of a file to a picture of what the network looked at, in two lines. Everything works
# offline, with the network and the scenes that come along; `load_explainer("resnet50")` takes one of torchvision.
# %%
from pytorch_grad_cam import load_explainer

explainer = load_explainer("shapes")
explainer("../images/scene_triangle_hourglass_square.png")
# %% [markdown]
# What the network sees in the picture, and the map as numbers:
# %%
found = explainer("../images/scene_triangle_hourglass_square.png")
print([(explainer.ready.loaded.categories[index], round(share, 3)) for index, share in found.predicted[:3]])
found.maps[0].map.shape, found.maps[0].label
# %% [markdown]
# Other classes, by their names, and by several methods:
# %%
load_explainer("shapes", ["gradcam", "hirescam"], classes=["hourglass", "triangle"])(
    "../images/scene_triangle_hourglass_square.png"
)
# %% [markdown]
# Rather the hourglass (red) than the triangle (blue):
# %%
load_explainer("shapes", contrast=("hourglass", "triangle"))("../images/scene_triangle_hourglass_square.png")
# %% [markdown]
# With a slider for how opaque the map is, and a list of classes: the one that is chosen is explained then. This needs
# ipywidgets.
# %%
explainer.widget("../images/scene_triangle_hourglass_square.png")
