"""Comparison: what was measured, in numbers, tables and sentences.

``Comparison.as_dict(times=True)`` is what ``scores.json`` and the page are made of; NaN and infinity are ``None``::

    {
      "format": 1,
      "model": "SqueezeNet",                        what the network is, for people
      "settings": {"seed": 0, "batch_size": 16, "confidence": 0.95, "resamples": 2000, ...},
      "images": [                                   in the order of all lists of values below
        {"id": "both", "class": 281, "label": "tabby", "score": 0.93}, ...      class, label, score: or null
      ],
      "metrics": [
        {"name": "insertion", "family": "faithfulness", "higher_is_better": true, "range": [0, 1],
         "summary": "The area under ...", "parameters": {"steps": 28, "fill": "blur"}, "source": "V. Petsiuk ..."}, ...
      ],                                            families: see ``evaluation.families``
      "rows": [                                     methods x layers, then the reference maps
        {"id": "gradcam features.12",               unique; as people read it
         "method": "gradcam", "layers": ["features.12"], "kind": "method" or "reference",
         "reason": null,                            why there are no maps, or not of all pictures; else null
         "maps": 20,                                that were made
         "forward": 1.0, "backward": 1.0,           passes per map, also those that begin behind the layer; or null
         "scores": {
           "insertion": {"value": 0.41, "low": 0.35, "high": 0.47,    the mean and its interval
                         "judged": 19, "not_judged": 1, "reason": null, "values": [0.44, null, ...]}, ...
         }}, ...
      ],
      "differences": [                              paired: of the same pictures; each method with each reference map,
        {"metric": "insertion", "first": "gradcam features.12", "second": "random",  and with the best method
         "value": 0.2, "low": 0.15, "high": 0.26, "pictures": 19, "better": true}, ...  first better: true, false;
      ],                                            null: not decided
      "verdicts": [{"question": "Which methods beat the reference maps?", "answer": "On these 20 pictures ..."}, ...],
      "times": {"gradcam features.12": 12.3, ...}   milliseconds per map; only with times=True
    }

For the page the command line adds ``"pictures": [{"id": "both", "image": DATA_URL, "maps": {ROW_ID: DATA_URL}}]``: the
picture as the network saw it, a JPEG; and each map, a gray PNG of few pixels, 0 to 255 for 0 to 1, to be stretched over it.
A row that has no map of a picture has no entry there.
"""
