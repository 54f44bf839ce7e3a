"""URLs of the Django example."""

from django.urls import path
from shop import views

urlpatterns = [
    path("orders/<int:number>/", views.order),
    path("refund/<int:number>/", views.refund),
]
