from torchvision.models.segmentation import lraspp_mobilenet_v3_large


def build(weights=None, num_classes=21):
    return lraspp_mobilenet_v3_large(weights=None, weights_backbone=None, num_classes=num_classes)
